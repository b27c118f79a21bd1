/* Leases, rounds 1-8 and 11 (see README.md): 3 voters, N nodes, 1 scope.
 * One process = the scheduler: every option is one atomic step of one voter, one node or the clock.
 * The network is the SET of messages ever sent (a ballot's prepare/accept can be handled by a voter
 * at any later time, once, never): loss, delay, reordering, duplicates and suspends are therefore all covered
 * (a suspended node is one that takes no step while TICK goes on).
 * Time: countdowns. hv[n,v] = what is left at node n of D_h since the SEND time of its last renewal that v acked;
 * vx[v,n] = what is left at voter v of D_v.  D_h = D_v = D ticks: the tightest legal setting.
 *
 * -DNOCLOCKS: see there; -DSTILL: no time passes; -DROLES: see there.
 * -DTEXT_xxx = the document as written where it differs from the proposed wording
 * -DBUG_xxx  = seeded mutants
 */
#define V 3
#ifndef N
#define N 2
#endif
#ifndef NB
#define NB 4            /* ballots (rounds) in one run */
#endif
#ifndef D
#define D 2             /* D_h = D_v in ticks */
#endif
#ifndef EMAX
#define EMAX 2          /* highest epoch: EMAX-1 restarts per node */
#endif
#ifndef NRST
#define NRST 1          /* node restarts in one run */
#endif
#ifndef VRST
#define VRST 1          /* voter restarts in one run */
#endif
#ifndef NOSTEAL
#define NOSTEAL 0
#endif
#ifndef NOHAND
#define NOHAND 0
#endif
#ifndef NOREL
#define NOREL 0
#endif
#define FREE N
#define ACQ 1
#define STEAL 2
#define HAND 3
#define REL 4
#define RTAKE 5

/* voters, durable */
byte prom[V]; byte acc[V]; byte mn[V*N]; byte sup[V*N]; byte rvP[V];
/* voters, volatile */
byte vx[V*N];
/* nodes */
byte hv[V*N]; byte ep[N]; byte hold[N]; byte relq[N]; byte ph[N]; byte cb[N];
#ifdef TWOSTEP
byte rs[V*N]; byte rr[V*N];   /* renewal in flight: 0 none 1 sent 2 acked by the voter; what is left of D_h since sent */
#endif
#ifdef REPLICA
byte fen; byte fenced[N]; byte wr[N]; byte served;   /* one replica: highest token seen; node n fenced; write checked but not yet applied */
#endif
/* ballots: proposer, its op, its epoch, argument (steal: epoch; hand-off, release: token; steal/hand-off: peer), replies, value */
byte own[NB+1]; byte bop[NB+1]; byte bep[NB+1]; byte barg[NB+1]; byte bpe[NB+1]; byte bpeE[NB+1];
byte ac[NB+1];
byte rm[N]; byte ra[N]; byte re[N];   /* node's replies to its prepare: voters (mask), highest accepted ballot, voters that evicted/cleared (mask) */
byte sent[NB+1];   /* 0 no, 1 prepare sent, 2 accept sent (changed), 3 accept sent (unchanged) */
byte vh[NB+1]; byte ve[NB+1]; byte vt[NB+1];
byte nb; byte nrst; byte vrst;
byte rvTok; byte rvN; byte rvE; byte rvBy;
hidden byte i; hidden byte j; hidden byte k; hidden byte cur;

#define IX(v,n) ((v)*N+(n))
#define POP(m) (((m)&1)+(((m)>>1)&1)+(((m)>>2)&1))
#define NV(n) ((hv[IX(0,n)]>0)+(hv[IX(1,n)]>0)+(hv[IX(2,n)]>0))
#ifdef NOCLOCKS
/* pauses without bound and clocks that may be anything: a node that has a token never doubts it, a voter may end a session at
 * any moment (EXPIRE). I4 and I8 cannot hold then; tokens (I1-I3) and the replica's fence (I5) must. */
#define VALID(n) (hold[n]>0)
#define CLOCKED false
#else
#define VALID(n) (hold[n]>0 && NV(n)>=2)
#define CLOCKED true
#endif
#define EVICTED(n) ((mn[IX(0,n)]>ep[n])+(mn[IX(1,n)]>ep[n])+(mn[IX(2,n)]>ep[n])>=2)
#define CLR(n) rm[n]=0; ra[n]=0; re[n]=0;
#define CLRB(b) own[b]=0; bop[b]=0; bep[b]=0; barg[b]=0; bpe[b]=0; bpeE[b]=0;

/* a round given up in phase 1: its late prepares could only raise promises and evict where the same eviction is
 * possible later, so they are dropped; what a ballot no longer needs is zeroed (fewer states) */
#define DROPB(b) sent[b]=0; CLRB(b)
#ifdef BUG_RESUME
#define KEEPB(b) skip
#else
#define KEEPB(b) CLRB(b) skip
#endif

inline check() {
  for (i : 0 .. N-1) {
    /* I8 an evicted (node, epoch) never has support of a majority */
    assert(!CLOCKED || !(EVICTED(i) && NV(i)>=2));
    for (j : i+1 .. N-1) { assert(!CLOCKED || !(VALID(i) && VALID(j)));   /* I4 */
                           assert(!(hold[i]>0 && hold[i]==hold[j])) }  /* I3: a token has one holder */
  }
  #ifndef NOI1
  for (i : 0 .. V-1) { assert(acc[i]<=prom[i]) };               /* I1 */
#endif
  skip
}
/* I2+I3 when ballot b has just become chosen */
inline chosen(b) {
  for (i : 1 .. NB) {
    if :: i!=b && i<=nb && POP(ac[i])>=2 ->
       if :: i<b -> assert(vt[i]<=vt[b] && (vt[i]<vt[b] || vh[b]==FREE || (vh[i]==vh[b] && ve[i]==ve[b])))
          :: else -> assert(vt[b]<=vt[i] && (vt[b]<vt[i] || vh[i]==FREE || (vh[i]==vh[b] && ve[i]==ve[b]))) fi
    :: else fi }
}
inline start(n,op,arg,pe,peE) {
  nb++; own[nb]=n; bop[nb]=op; bep[nb]=ep[n]; barg[nb]=arg; bpe[nb]=pe; bpeE[nb]=peE; sent[nb]=1; ph[n]=1; cb[n]=nb
}
/* change function on the value read in THIS round; cur = highest accepted ballot among the replies (0: free, token 0) */
inline change(n,b) {
  cur=ra[n];
  vh[b]=(cur==0 -> FREE : vh[cur]); ve[b]=(cur==0 -> 0 : ve[cur]); vt[b]=(cur==0 -> 0 : vt[cur]);
  sent[b]=3;
  if
  :: bop[b]==ACQ && vh[b]==FREE -> vh[b]=n; ve[b]=bep[b]; vt[b]=vt[b]+1; sent[b]=2
  :: bop[b]==ACQ && vh[b]==n && ve[b]<bep[b] -> ve[b]=bep[b]; vt[b]=vt[b]+1; sent[b]=2
#ifdef TEXT_SAMETOKEN
  :: bop[b]==ACQ && vh[b]==n && ve[b]==bep[b] -> sent[b]=2; if :: relq[n]>=vt[b] -> relq[n]=vt[b]-1 :: else fi
#else
  :: bop[b]==ACQ && vh[b]==n && ve[b]==bep[b] -> vt[b]=vt[b]+1; sent[b]=2
#endif
  :: bop[b]==STEAL && vh[b]==bpe[b] && ve[b]<=barg[b] && POP(re[n])>=2 -> vh[b]=n; ve[b]=bep[b]; vt[b]=vt[b]+1; sent[b]=2
  :: bop[b]==RTAKE && vh[b]==rvN && vt[b]==rvTok && POP(re[n])>=2 -> vh[b]=n; ve[b]=bep[b]; vt[b]=vt[b]+1; sent[b]=2
  :: bop[b]==HAND && vh[b]==n && ve[b]==bep[b] && vt[b]==barg[b] -> vh[b]=bpe[b]; ve[b]=bpeE[b]; vt[b]=vt[b]+1; sent[b]=2
  :: bop[b]==REL && vh[b]==n && ve[b]==bep[b] && vt[b]==barg[b] -> vh[b]=FREE; ve[b]=0; sent[b]=2
  :: else
  fi;
  CLR(n) ph[n]=2; KEEPB(b)
}
inline take(n,b) {
  hold[n]=vt[b];
#ifdef REPLICA
  fenced[n]=0
#endif
}

/* ---- voter v ---- */
#define PREP(v,b) :: d_step { b<=nb && b>prom[v] && sent[b]>=1 -> \
   prom[v]=b; \
   if :: bop[b]==STEAL && (vx[IX(v,bpe[b])]==0 || sup[IX(v,bpe[b])]>barg[b]) && mn[IX(v,bpe[b])]<=barg[b] -> mn[IX(v,bpe[b])]=barg[b]+1 :: else fi; \
   if :: ph[own[b]]==1 && cb[own[b]]==b -> rm[own[b]]=rm[own[b]]|(1<<v); \
      if :: acc[v]>ra[own[b]] -> ra[own[b]]=acc[v] :: else fi; \
      if :: bop[b]==STEAL && mn[IX(v,bpe[b])]>barg[b] -> re[own[b]]=re[own[b]]|(1<<v) \
         :: bop[b]==RTAKE && RVCLEAR(v) -> re[own[b]]=re[own[b]]|(1<<v) :: else fi \
   :: else fi; check() }
#ifdef TEXT_REVCLEAR
#define RVCLEAR(v) (rvP[v]==2 || rvP[v]==3)
#else
#define RVCLEAR(v) (rvP[v]==2 || (rvP[v]==1 && (vx[IX(v,rvN)]==0 || sup[IX(v,rvN)]>rvE)))
#endif
#ifdef BUG_NORAISE
#define RAISE(v,b)
#else
#define RAISE(v,b) prom[v]=b;
#endif
#define ACCEPT(v,b) :: d_step { b<=nb && sent[b]>=2 && b>=prom[v] && !(ac[b]&(1<<v)) -> \
   RAISE(v,b) acc[v]=b; ac[b]=ac[b]|(1<<v); if :: POP(ac[b])==2 -> chosen(b) :: else fi; check() }
#define VRESTART(v) :: d_step { vrst<VRST -> vrst++; for (i : 0 .. N-1) { VGRACE(v) }; check() }
#ifdef BUG_NOGRACE
#define VGRACE(v) vx[IX(v,i)]=0;
#else
#define VGRACE(v) vx[IX(v,i)]=(sup[IX(v,i)]>0 -> D : 0);
#endif
/* ---- renew: guard at the voter ---- */
#ifdef BUG_NOACK
#define NOREV(v,n) true
#else
#define NOREV(v,n) !(rvTok>0 && rvN==n && ep[n]==rvE && rvP[v]==1)
#endif
#ifdef BUG_EVICTRENEW
#define MAYRENEW(v,n) (ep[n]>=sup[IX(v,n)] && NOREV(v,n))
#else
#define MAYRENEW(v,n) (ep[n]>=mn[IX(v,n)] && ep[n]>=sup[IX(v,n)] && NOREV(v,n))
#endif
#ifdef TWOSTEP
#define RENEW(v,n) \
  :: d_step { RENEWS(n) && rs[IX(v,n)]==0 -> rs[IX(v,n)]=1; rr[IX(v,n)]=D } \
  :: d_step { rs[IX(v,n)]==1 && MAYRENEW(v,n) -> rs[IX(v,n)]=2; sup[IX(v,n)]=ep[n]; vx[IX(v,n)]=D; check() } \
  :: d_step { rs[IX(v,n)]==2 -> rs[IX(v,n)]=0; RTIME(v,n) rr[IX(v,n)]=0; check() } \
  :: d_step { rs[IX(v,n)]==1 -> rs[IX(v,n)]=0; rr[IX(v,n)]=0 }
#ifdef BUG_RECVTIME
#define RTIME(v,n) hv[IX(v,n)]=D;
#else
#define RTIME(v,n) if :: rr[IX(v,n)]>hv[IX(v,n)] -> hv[IX(v,n)]=rr[IX(v,n)] :: else fi;
#endif
#else
/* send, voter, reply in one step: the worst case for I4 (earliest expiry at the voter, longest validity at the node) */
#ifdef NOCLOCKS
#define RENEW(v,n) :: d_step { RENEWS(n) && MAYRENEW(v,n) && (vx[IX(v,n)]<D || sup[IX(v,n)]<ep[n]) -> sup[IX(v,n)]=ep[n]; vx[IX(v,n)]=D; check() }
#else
#define RENEW(v,n) :: d_step { RENEWS(n) && MAYRENEW(v,n) && (vx[IX(v,n)]<D || hv[IX(v,n)]<D || sup[IX(v,n)]<ep[n]) -> sup[IX(v,n)]=ep[n]; vx[IX(v,n)]=D; hv[IX(v,n)]=D; check() }
#endif
#endif
/* ---- revocation of the token of a chosen value ---- */
#define REVOKE(n,b) :: d_step { TAKES(n) && b<=nb && rvTok==0 && sent[b]>=2 && POP(ac[b])>=2 && vh[b]!=FREE && vh[b]!=n -> rvTok=vt[b]; rvN=vh[b]; rvE=ve[b]; rvBy=n }
#define REVREC(v) :: d_step { rvTok>0 && rvP[v]==0 -> rvP[v]=1; check() }
#ifdef BUG_NORELQ
#define MARKQ(n,t)
#else
#define MARKQ(n,t) if :: relq[n]<t -> relq[n]=t :: else fi;
#endif
#define REVACK(v) :: d_step { rvP[v]==1 && ep[rvN]==rvE -> if :: hold[rvN]<=rvTok -> hold[rvN]=0 :: else fi; MARKQ(rvN,rvTok) rvP[v]=2; check() }
#ifdef TEXT_REVCLEAR
#define REVEXP(v) :: d_step { rvP[v]==1 && vx[IX(v,rvN)]==0 -> rvP[v]=3; check() }
#else
#define REVEXP(v)
#endif
/* ---- node n ---- */
#ifdef ROLES
/* searches for one fault: node 0, which holds the scope, renews and takes again; node 1 only takes it away */
#define RENEWS(n) (n==0)
#define TAKES(n) (n==1)
#else
#define RENEWS(n) true
#define TAKES(n) true
#endif
#define IDLE(n) (ph[n]==0 && nb<NB)
#define NODE(n,m) \
  :: d_step { IDLE(n) && RENEWS(n) && hold[n]==0 -> start(n,ACQ,0,0,0) } \
  :: d_step { IDLE(n) && TAKES(n) && hold[n]==0 && !NOSTEAL -> start(n,STEAL,1,m,0) } \
  :: d_step { IDLE(n) && TAKES(n) && hold[n]==0 && !NOSTEAL && ep[m]>1 -> start(n,STEAL,2,m,0) } \
  :: d_step { IDLE(n) && TAKES(n) && hold[n]==0 && rvTok>0 && rvBy==n -> start(n,RTAKE,0,rvN,0) } \
  :: d_step { IDLE(n) && hold[n]>0 && !NOHAND -> start(n,HAND,hold[n],m,ep[m]); MARKQ(n,hold[n]) hold[n]=0; check() } \
  :: d_step { IDLE(n) && hold[n]>0 && !NOREL -> start(n,REL,hold[n],0,0); MARKQ(n,hold[n]) hold[n]=0; check() }
#define NODE1(n) \
  :: d_step { ph[n]==1 && POP(rm[n])>=2 -> change(n,cb[n]); check() } \
  :: d_step { ph[n]==1 -> CLR(n) DROPB(cb[n]) ph[n]=0; cb[n]=0 } \
  :: d_step { ph[n]==2 -> UNKNOWN(n) ph[n]=0; cb[n]=0; check() } \
  :: d_step { nrst<NRST && ep[n]<EMAX -> nrst++; ep[n]=ep[n]+1; hold[n]=0; relq[n]=0; \
       if :: ph[n]==1 -> CLR(n) DROPB(cb[n]) :: else fi; ph[n]=0; cb[n]=0; \
       for (i : 0 .. V-1) { hv[IX(i,n)]=0; CLRRS(n) }; WRCLR(n) check() }
#ifdef TWOSTEP
#define CLRRS(n) rs[IX(i,n)]=0; rr[IX(i,n)]=0;
#else
#define CLRRS(n)
#endif
#ifdef BUG_RESUME
#define UNKNOWN(n) if :: bop[cb[n]]==HAND && POP(ac[cb[n]])<2 -> hold[n]=barg[cb[n]] :: else fi;
#else
#define UNKNOWN(n)
#endif
/* n learns that chosen value b is its own: its round's reply, the word of whoever handed it over, however late */
#define LEARN(n,b) :: d_step { b<=nb && POP(ac[b])>=2 && vh[b]==n && ve[b]==ep[n] && vt[b]>relq[n] && vt[b]>hold[n] -> take(n,b); check() }
#ifdef TEXT_FASTREAD
/* "until a round says otherwise": a one-round-trip read shows {n, epoch, t} at a majority, n goes on under t */
#define FASTREAD(n) :: d_step { hold[n]==0 && ph[n]==0 && acc[0]>0 && (acc[0]==acc[1] || acc[0]==acc[2]) && vh[acc[0]]==n && ve[acc[0]]==ep[n] -> take(n,acc[0]); check() }
#else
#define FASTREAD(n)
#endif
#ifdef REPLICA
#define WRCLR(n) wr[n]=0; fenced[n]=0;
#ifdef BUG_SERVENOFENCE
#define REPL(n) :: d_step { hold[n]>0 && !fenced[n] && (!CLOCKED || NV(n)>=2) -> fenced[n]=1; if :: served<hold[n] -> served=hold[n] :: else fi } REPLW(n)
#else
#define REPL(n) :: d_step { hold[n]>0 && !fenced[n] && (!CLOCKED || NV(n)>=2) && fen<=hold[n] -> fen=hold[n]; fenced[n]=1; served=hold[n] } REPLW(n)
#endif
/* checked while valid, applied at any later time: the pause of unbounded length */
#define REPLW(n) :: d_step { fenced[n] && VALID(n) && wr[n]==0 -> wr[n]=hold[n] } \
  :: d_step { wr[n]>0 -> if :: wr[n]>=fen -> assert(wr[n]>=served); fen=wr[n] :: else fi; wr[n]=0 }   /* I5 */
#else
#define WRCLR(n)
#define REPL(n)
#endif

#define PB(v) PREP(v,1) PREP(v,2) PREP(v,3) XP4(v) XP5(v) XP6(v)
#define AB(v) ACCEPT(v,1) ACCEPT(v,2) ACCEPT(v,3) XA4(v) XA5(v) XA6(v)
#define LB(n) LEARN(n,1) LEARN(n,2) LEARN(n,3) XL4(n) XL5(n) XL6(n)
#define RB(n) REVOKE(n,1) REVOKE(n,2) REVOKE(n,3) XR4(n) XR5(n)
#if NB>=4
#define XP4(v) PREP(v,4)
#define XA4(v) ACCEPT(v,4)
#define XL4(n) LEARN(n,4)
#define XR4(n) REVOKE(n,4)
#else
#define XP4(v)
#define XA4(v)
#define XL4(n)
#define XR4(n)
#endif
#if NB>=5
#define XP5(v) PREP(v,5)
#define XA5(v) ACCEPT(v,5)
#define XL5(n) LEARN(n,5)
#define XR5(n) REVOKE(n,5)
#else
#define XP5(v)
#define XA5(v)
#define XL5(n)
#define XR5(n)
#endif
#if NB>=6
#define XP6(v) PREP(v,6)
#define XA6(v) ACCEPT(v,6)
#define XL6(n) LEARN(n,6)
#else
#define XP6(v)
#define XA6(v)
#define XL6(n)
#endif
#ifdef NOREVOKE
#define REVS
#else
#define REVS RB(0) RB(1) REVREC(0) REVREC(1) REVREC(2) REVACK(0) REVACK(1) REVACK(2) REVEXP(0) REVEXP(1) REVEXP(2)
#endif
#if N==3
#define N3 NODE(0,2) NODE(1,2) NODE(2,0) NODE(2,1) NODE1(2) RENEW(0,2) RENEW(1,2) RENEW(2,2) LB(2) FASTREAD(2) REPL(2)
#else
#define N3
#endif
#ifdef TWOSTEP
#define TICKRS if :: rr[i]>0 -> rr[i]=rr[i]-1; RSDROP :: else fi;
#ifdef BUG_RECVTIME
#define RSDROP
#else
#define RSDROP if :: rr[i]==0 -> rs[i]=0 :: else fi
#endif
#else
#define TICKRS
#endif
#define TICK :: d_step { for (i : 0 .. V*N-1) { if :: vx[i]>0 -> vx[i]=vx[i]-1 :: else fi; if :: hv[i]>0 -> hv[i]=hv[i]-1 :: else fi; TICKRS }; check() }

#define EXPIRE(r) :: d_step { r<V*N && vx[r]>0 -> vx[r]=0; check() }

init {
  d_step { for (i : 0 .. N-1) { ep[i]=1 };
    for (i : 0 .. V*N-1) { sup[i]=1 };
#ifndef EMPTY
    /* node 0 holds token 1, chosen at ballot 1 by voters 0 and 1; the accept to voter 2 is still under way */
    nb=1; sent[1]=2; vh[1]=0; ve[1]=1; vt[1]=1; ac[1]=3; acc[0]=1; acc[1]=1; prom[0]=1; prom[1]=1; hold[0]=1;
    for (i : 0 .. V*N-1) { vx[i]=D; hv[i]=D };
#endif
    skip }
  do
#ifdef NOCLOCKS
  EXPIRE(0) EXPIRE(1) EXPIRE(2) EXPIRE(3) EXPIRE(4) EXPIRE(5)
#elif !defined(STILL)
  TICK   /* without: no time passes; for faults that need none, and their controls */
#endif
  PB(0) PB(1) PB(2) AB(0) AB(1) AB(2)
  NODE(0,1) NODE(1,0) NODE1(0) NODE1(1)
  RENEW(0,0) RENEW(1,0) RENEW(2,0) RENEW(0,1) RENEW(1,1) RENEW(2,1)
  LB(0) LB(1) FASTREAD(0) FASTREAD(1) REPL(0) REPL(1)
  VRESTART(0) VRESTART(1) VRESTART(2)
  REVS N3
  od
}
