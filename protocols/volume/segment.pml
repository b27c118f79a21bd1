/* One segment of a volume (see README.md): two ranges in one register, two holders, three replicas.
 * One process = the scheduler: every option is one atomic step of one node, one replica or the register (whose own
 * correctness is protocols/lease's business). Time does not exist here: whoever is counted as dead may be alive, believe in
 * what it holds and act on it for as long as it likes (pauses without bound), and a message that was sent may be handled at
 * any later time, or never. So what holds here holds whatever clocks do: I5 and I6.
 *
 * A version is token * 4 + sequence. Each range is one block; an entry of a stream writes one of them. A replica that is
 * slow, cut off or dead is one that takes no step. -DBUG_xxx = seeded faults. Bounds: -DT= tokens, -DC= configurations,
 * -DS= entries of one stream, -DNW= writes in all, -DINS= replicas in sync at the beginning (a mask).
 * -DSPLIT: the second range is the other node's from the beginning.
 * -DNOHAND, -DNOJOIN, -DNODEATH, -DNOLEAVE: without hand-offs, joining, takeovers, removals.
 */
#ifndef T
#define T 3
#endif
#ifndef C
#define C 3
#endif
#ifndef S
#define S 2
#endif
#ifndef NW
#define NW 2
#endif
#ifndef INS
#define INS 3
#endif
#define D 3
#define HAS(m,d) (((m)>>(d))&1)
#define BIT(d) (1<<(d))
#define R(x,r) ((x)*2+(r))
#define E(d,t) ((d)*(T+1)+(t))
#define MAX(a,b) ((a)>(b)->(a):(b))

/* the register */
byte tok[2]; byte hld[2]; byte uns[2]; byte token; byte cfg; byte ins; byte jn; byte cutAt[T+1];   /* cutAt: cut + 1 */
/* what its adder said of the joining one: tokens by range */
byte at[2];
/* replicas: ends of streams, versions of blocks, fences; a job of joining: 0 none, 1 copying, 2 done */
byte end[D*(T+1)]; byte bv[D*2]; byte ft[D*2]; byte fc[D]; bool whole[D];
byte js[D]; byte jc[D]; byte jf[D*2]; byte jq[D]; byte jr[D];
/* holders: what they believe to hold, their view of the sets, ranges given up, the range that is frozen */
byte bel[4]; byte vin[2]; byte vjn[2]; byte vcfg[2]; byte rq[4]; byte fz[2];
/* streams: written, flushed, sent under each configuration, block of each entry */
byte lend[T+1]; byte flu[T+1]; byte mc[(T+1)*(C+1)]; byte blk[(T+1)*4];
/* hand-offs that were proposed and may land: token; and to whom */
byte hp[2]; byte hm[2];
/* recoveries: token, dead stream, ranges, replicas that are fenced, ends they told, copies made, the source of them + 1 */
byte rc[2]; byte ru[2]; byte rr[2]; byte fm[2]; byte rend[2*D]; byte rcp[2*D]; byte src[2];
byte nw;
/* a write of a client that is asked for until it is done: its entry */
byte rt; byte rn;
/* ghosts: highest version that was promised to stay; highest that counts of older streams; token served */
byte fl[2]; byte keep[2]; byte served[2];
hidden byte i; hidden byte k; hidden byte mx; hidden byte q; hidden byte last;

/* the last entry of stream t, up to `to`, in range r */
inline lastOf(t,r,to) { last=0; for (k : 1 .. S) { if :: k<=to && blk[(t)*4+k]==r -> last=(t)*4+k :: else fi } }
inline promise(t,r,to) { lastOf(t,r,to); if :: last>fl[r] -> fl[r]=last :: else fi }
#define IN(x) (HAS(ins,x))
inline check() {
  for (i : 0 .. D-1) { if
    :: HAS(ins,i) ->
       assert(bv[R(i,0)]>=fl[0] && bv[R(i,1)]>=fl[1]);                                   /* I6 */
       assert(uns[0]>0 || bv[R(i,0)]/4==tok[0] || bv[R(i,0)]<=keep[0]);                    /* nothing discarded comes back */
       assert(uns[1]>0 || bv[R(i,1)]/4==tok[1] || bv[R(i,1)]<=keep[1])
    :: else fi };
  skip
}
#define CLR(n) rc[n]=0; ru[n]=0; rr[n]=0; fm[n]=0; src[n]=0; for (k : 0 .. D-1) { rend[(n)*D+k]=0; rcp[(n)*D+k]=0 }
/* what a holder has is sent at once under the configuration that it knows: messages are handled at any time, or never */
#define SENT(n,r) if :: bel[R(n,r)]>0 -> mc[bel[R(n,r)]*(C+1)+vcfg[n]]=lend[bel[R(n,r)]] :: else fi;
/* what a node sees of the register ends whatever it contradicts */
inline refresh(n) {
  for (k : 0 .. 1) { if :: bel[R(n,k)]>0 && (hld[k]!=n || tok[k]!=bel[R(n,k)]) -> bel[R(n,k)]=0; if :: fz[n]==k+1 -> fz[n]=0 :: else fi :: else fi };
  if :: rc[n]>0 && !((hld[0]==n && tok[0]==rc[n]) || (hld[1]==n && tok[1]==rc[n])) -> CLR(n) :: else fi;
  if :: vcfg[n]!=cfg -> fm[n]=0; src[n]=0; for (k : 0 .. D-1) { rcp[n*D+k]=0; rend[n*D+k]=0 } :: else fi;
  if :: bel[R(n,0)]==0 && bel[R(n,1)]==0 && rc[n]==0 -> vin[n]=0; vjn[n]=0; vcfg[n]=0
     :: else -> vin[n]=ins; vjn[n]=jn; vcfg[n]=cfg; SENT(n,0) SENT(n,1) fi
}
#define HOLDS(n) ((bel[R(n,0)]>0 && hld[0]==n && tok[0]==bel[R(n,0)]) || (bel[R(n,1)]>0 && hld[1]==n && tok[1]==bel[R(n,1)]))

/* ---- writing ---- */
#define WRITE(n,r) :: d_step { bel[R(n,r)]>0 && fz[n]!=(r)+1 && lend[bel[R(n,r)]]<S && nw<NW -> nw++; \
    lend[bel[R(n,r)]]++; blk[bel[R(n,r)]*4+lend[bel[R(n,r)]]]=r; SENT(n,r) }
/* the client's write goes to whoever holds range 1, and again until it is told that it is done; what was cut counts no more */
#define ALIVE (rt>0 && (cutAt[rt]==0 || rn<cutAt[rt]))
#ifdef BUG_RETRYTWICE
#define KNOWN(n) (rt==bel[R(n,1)])
#else
#define KNOWN(n) ALIVE
#endif
#define WRITEX(n) :: d_step { bel[R(n,1)]>0 && fz[n]!=2 && lend[bel[R(n,1)]]<S && nw<NW && !KNOWN(n) -> assert(!ALIVE); nw++; \
    lend[bel[R(n,1)]]++; blk[bel[R(n,1)]*4+lend[bel[R(n,1)]]]=1; rt=bel[R(n,1)]; rn=lend[rt]; SENT(n,1) }
#ifdef BUG_NOFENCE
#define TOKENOK(d,t,r) true
#else
#define TOKENOK(d,t,r) ((t)>=ft[R(d,r)])
#endif
#define NEXT(d,t) (end[E(d,t)]+1)
#define NBLK(d,t) (blk[(t)*4+NEXT(d,t)])
#define APPLY(d,t,c) :: d_step { c>=fc[d] && end[E(d,t)]<mc[(t)*(C+1)+(c)] && (whole[d] || js[d]==1) && TOKENOK(d,t,NBLK(d,t)) -> \
    assert(!HAS(ins,d) || (t)>=served[NBLK(d,t)]); /* I5 */ \
    end[E(d,t)]=NEXT(d,t); if :: bv[R(d,blk[(t)*4+end[E(d,t)]])]<(t)*4+end[E(d,t)] -> bv[R(d,blk[(t)*4+end[E(d,t)]])]=(t)*4+end[E(d,t)] :: else fi; check() }
#define AT(d,t,m) (!HAS(m,d) || end[E(d,t)]>=lend[t])
#ifdef BUG_JOINNOTWAITED
#define WHO(n) vin[n]
#else
#define WHO(n) (vin[n]|vjn[n])
#endif
/* against the view that the holder has: a newer register that left it out would have been fenced first */
#define FLUSH(n,t) :: d_step { (bel[R(n,0)]==t || bel[R(n,1)]==t) && flu[t]<lend[t] && AT(0,t,WHO(n)) && AT(1,t,WHO(n)) && AT(2,t,WHO(n)) -> \
    flu[t]=lend[t]; promise(t,0,lend[t]); promise(t,1,lend[t]); check() }
#define REFRESH(n) :: d_step { (vcfg[n]!=cfg && (bel[R(n,0)]>0 || bel[R(n,1)]>0 || rc[n]>0)) || (bel[R(n,0)]>0 && (tok[0]!=bel[R(n,0)] || hld[0]!=n)) || (bel[R(n,1)]>0 && (tok[1]!=bel[R(n,1)] || hld[1]!=n)) || (rc[n]>0 && !(hld[0]==n && tok[0]==rc[n]) && !(hld[1]==n && tok[1]==rc[n])) -> refresh(n) }

/* ---- the replica set ---- */
#ifdef NOLEAVE
#define REMOVE(n,d)
#else
/* by a holder, of anybody, whatever the reason; by who recovers, of those that do not answer its fence, once somebody did */
#define REMOVE(n,d) :: d_step { cfg<C && HAS(ins|jn,d) && (ins&(255-BIT(d)))!=0 && (HOLDS(n) || (rc[n]>0 && fm[n]>0 && !HAS(fm[n],d) && vcfg[n]==cfg && ((hld[0]==n && tok[0]==rc[n]) || (hld[1]==n && tok[1]==rc[n])))) -> \
    ins=ins&(255-BIT(d)); jn=jn&(255-BIT(d)); cfg++; if :: jn>0 -> at[0]=tok[0]; at[1]=tok[1] :: else -> at[0]=0; at[1]=0 fi; refresh(n); check() }
#endif
#ifdef BUG_JOINUNSETTLED
#define MAYJOIN true
#else
#define MAYJOIN (uns[0]==0 && uns[1]==0)
#endif
#ifdef NOJOIN
#define JOIN(n,d)
#define JOB(d)
#else
#define JOIN(n,d) :: d_step { cfg<C && HOLDS(n) && jn==0 && !HAS(ins,d) && MAYJOIN -> jn=BIT(d); cfg++; at[0]=tok[0]; at[1]=tok[1]; refresh(n) } \
  :: d_step { HOLDS(n) && cfg<C && HAS(jn,d) && jc[d]==cfg && COPIED(d) -> ins=ins|BIT(d); jn=0; cfg++; at[0]=0; at[1]=0; refresh(n); check() }
#ifdef BUG_EARLY
#define COPIED(d) (js[d]>=1)
#else
#define COPIED(d) (js[d]==2)
#endif
#ifdef BUG_NOADOPT
#define ADOPTED true
#else
#define ADOPTED ((!HAS(ins,0) || fc[0]>=cfg) && (!HAS(ins,1) || fc[1]>=cfg) && (!HAS(ins,2) || fc[2]>=cfg))
#endif
#ifdef BUG_NOFLOOR
#define OLDER(d,r) false
#else
#define OLDER(d,r) (bv[R(d,r)]/4<jf[R(d,r)])
#endif
#ifdef BUG_KEEPENDS
#define NOTLESS(d,s) true
#else
/* what the joining one claims of a stream may come from an earlier source, and never have been copied */
#define NOTLESS(d,s) (end[E(s,at[0])]>=end[E(d,at[0])] && end[E(s,at[1])]>=end[E(d,at[1])])
#endif
#define JSTART(d,s) :: d_step { HAS(jn,d) && (js[d]==0 || jc[d]!=cfg) && HAS(ins,s) && whole[s] && ADOPTED && NOTLESS(d,s) -> \
    whole[d]=false; js[d]=1; jc[d]=cfg; jq[d]=s; jr[d]=0; fc[d]=cfg; \
    for (i : 0 .. 1) { jf[R(d,i)]=at[i]; if :: ft[R(d,i)]<at[i] -> ft[R(d,i)]=at[i] :: else fi; \
      if :: end[E(d,at[i])]<end[E(s,at[i])] -> end[E(d,at[i])]=end[E(s,at[i])] :: else fi } }
#define JCOPY(d,r) :: d_step { js[d]==1 && !HAS(jr[d],r) && whole[jq[d]] -> jr[d]=jr[d]|BIT(r); \
    if :: bv[R(jq[d],r)]>bv[R(d,r)] || OLDER(d,r) -> bv[R(d,r)]=bv[R(jq[d],r)] :: else fi; check() }
#define JOB(d) \
  :: d_step { HAS(ins,d) && jn>0 && fc[d]<cfg -> fc[d]=cfg } \
  :: d_step { HAS(jn,d) && js[d]!=1 && (at[0]!=tok[0] || at[1]!=tok[1]) -> at[0]=tok[0]; at[1]=tok[1] } \
  JSTART(d,0) JSTART(d,1) JSTART(d,2) JCOPY(d,0) JCOPY(d,1) \
  :: d_step { js[d]==1 && jr[d]==3 -> js[d]=2; whole[d]=true; jq[d]=0; jr[d]=0; jf[R(d,0)]=0; jf[R(d,1)]=0 }
#endif

/* ---- hand-off: freeze, flush, give up, propose; the proposal may land at any time ---- */
#ifdef NOHAND
#define HAND(n,r)
#define LAND(r)
#else
#ifdef BUG_DIRTY
#define CLEAN(t,r) true
#else
#define CLEAN(t,r) (last<=(t)*4+flu[t])
#endif
#ifdef BUG_STALEBASE
#define BASE(n) whole[n]
#else
#define BASE(n) (whole[n] && HAS(ins,n))
#endif
#ifdef BUG_RESUME
#define GAVEUP(n,r) false
#else
#define GAVEUP(n,r) (rq[R(n,r)]>=tok[r])
#endif
/* what the new holder reads of its own disk, where it counts as a copy, is what was promised */
#define BEGIN(n,r) bel[R(n,r)]=tok[r]; served[r]=tok[r]; assert(!BASE(n) || bv[R(n,r)]>=fl[r]);
#define HAND(n,r) \
  :: d_step { bel[R(n,r)]>0 && fz[n]==0 && hp[r]==0 && token<T -> fz[n]=(r)+1 } \
  :: d_step { fz[n]==(r)+1 && bel[R(n,r)]>0 -> lastOf(bel[R(n,r)],r,lend[bel[R(n,r)]]); \
      if :: CLEAN(bel[R(n,r)],r) -> hp[r]=bel[R(n,r)]; hm[r]=1-n; rq[R(n,r)]=bel[R(n,r)]; bel[R(n,r)]=0; fz[n]=0; if :: bel[R(n,1-(r))]==0 && rc[n]==0 -> vin[n]=0; vjn[n]=0; vcfg[n]=0 :: else fi :: else fi } \
  :: d_step { hld[r]==n && uns[r]==0 && bel[R(n,r)]==0 && rc[n]==0 && tok[r]>0 && !GAVEUP(n,r) -> BEGIN(n,r) refresh(n); check() } \
  :: d_step { hld[r]==n && uns[r]==0 && tok[r]==rq[R(n,r)] && token<T -> \
      BACK(n,r) BEGIN(n,r) refresh(n); check() }
/* taking back what a failed hand-off gave up: a new token */
#ifdef BUG_TAKEALL
/* what lies beside it goes with it, and was not flushed */
#define BACK(n,r) token++; promise(rq[R(n,r)],0,lend[rq[R(n,r)]]); promise(rq[R(n,r)],1,lend[rq[R(n,r)]]); keep[0]=MAX(keep[0],fl[0]); keep[1]=MAX(keep[1],fl[1]); \
   for (i : 0 .. 1) { if :: hld[i]==n && tok[i]==rq[R(n,r)] -> tok[i]=token :: else fi };
#else
#define BACK(n,r) token++; promise(tok[r],r,lend[tok[r]]); keep[r]=MAX(keep[r],fl[r]); tok[r]=token;
#endif
#define LAND(r) :: d_step { hp[r]>0 -> \
    if :: hld[r]==1-hm[r] && tok[r]==hp[r] && uns[r]==0 && token<T -> token++; promise(hp[r],r,lend[hp[r]]); keep[r]=MAX(keep[r],fl[r]); tok[r]=token; hld[r]=hm[r] :: else fi; \
    hp[r]=0; hm[r]=0; check() }
#endif

/* ---- a holder that is counted as dead: inherit its stream, fence, see how far it goes, make all the same, settle ---- */
#ifdef NODEATH
#define TAKE(n)
#else
#define INHERIT(n,r) :: d_step { hld[r]==1-(n) && token<T && (jn==0 || cfg<C) -> i=tok[r]; token++; \
    CLR(n) rc[n]=token; ru[n]=(uns[r]>0 -> uns[r] : i); \
    for (k : 0 .. 1) { if :: hld[k]==1-(n) && tok[k]==i -> hld[k]=n; tok[k]=token; uns[k]=ru[n]; rr[n]=rr[n]|BIT(k); fz[n]=(fz[n]==k+1 -> 0 : fz[n]) :: else fi }; \
    if :: jn>0 -> jn=0; cfg++; at[0]=0; at[1]=0 :: else fi; refresh(n); check() }
#ifdef BUG_TAILFIRST
#define TAIL(n,d) :: d_step { rc[n]>0 && HAS(vin[n],d) && whole[d] && !HAS(fm[n],d) && rend[(n)*D+d]==0 -> rend[(n)*D+d]=1+end[E(d,ru[n])] }
#define ENDOF(n,d) MAX(rend[(n)*D+d],1)
#else
#define TAIL(n,d)
#define ENDOF(n,d) (1+end[E(d,ru[n])])
#endif
#define UPTO(n,r) (HAS(rr[n],r))
#define FENCE(n,d) TAIL(n,d) :: d_step { rc[n]>0 && HAS(vin[n],d) && whole[d] && !HAS(fm[n],d) && fc[d]<=vcfg[n] && (!UPTO(n,0) || ft[R(d,0)]<=rc[n]) && (!UPTO(n,1) || ft[R(d,1)]<=rc[n]) -> \
    if :: UPTO(n,0) -> ft[R(d,0)]=rc[n] :: else fi; if :: UPTO(n,1) -> ft[R(d,1)]=rc[n] :: else fi; fc[d]=vcfg[n]; rend[(n)*D+d]=ENDOF(n,d); fm[n]=fm[n]|BIT(d) }
#define ENDS(n,d) (HAS(fm[n],d) -> rend[(n)*D+(d)] : 0)
#define LONGEST(n) MAX(ENDS(n,0),MAX(ENDS(n,1),ENDS(n,2)))
#define ALLFENCED(n) (rc[n]>0 && fm[n]==vin[n] && fm[n]>0)
#define SOURCE(n) (ENDS(n,0)==LONGEST(n) -> 0 : (ENDS(n,1)==LONGEST(n) -> 1 : 2))
#ifdef BUG_STALECOPY
#define STILL(n,d) true
#else
/* a copy by word of somebody who was overtaken meanwhile is refused, as an entry of his would be */
#define STILL(n,d) ((!UPTO(n,0) || ft[R(d,0)]==rc[n]) && (!UPTO(n,1) || ft[R(d,1)]==rc[n]))
#endif
/* every other one becomes as the source is: what it has past the cut of a copy that was broken off goes */
#define RCOPY(n,d,r) :: d_step { STILL(n,d) && ALLFENCED(n) && HAS(fm[n],d) && UPTO(n,r) && !HAS(rcp[(n)*D+d],r) && whole[d] && (src[n]==0 -> d!=SOURCE(n) : d+1!=src[n]) -> \
    if :: src[n]==0 -> src[n]=1+SOURCE(n) :: else fi; q=src[n]-1; rcp[(n)*D+d]=rcp[(n)*D+d]|BIT(r); \
    if :: bv[R(q,r)]>bv[R(d,r)] || (bv[R(d,r)]/4==ru[n] && bv[R(d,r)]%4>LONGEST(n)-1) -> bv[R(d,r)]=bv[R(q,r)] :: else fi; check() }
#define RADOPT(n,d) :: d_step { STILL(n,d) && ALLFENCED(n) && HAS(fm[n],d) && rend[(n)*D+d]<LONGEST(n) && rcp[(n)*D+d]==rr[n] -> rend[(n)*D+d]=LONGEST(n); \
    if :: end[E(d,ru[n])]<rend[(n)*D+d]-1 -> end[E(d,ru[n])]=rend[(n)*D+d]-1 :: else fi }
#ifdef BUG_NOCUT
#define SAME(n,d) true
#else
#define SAME(n,d) (!HAS(fm[n],d) || rend[(n)*D+(d)]==LONGEST(n))
#endif
#if defined(BUG_LAZYCOPY) || defined(BUG_NOCUT)
/* only those whose streams are shorter are looked at */
#define COPIEDTO(n,d) true
#else
#define COPIEDTO(n,d) (!HAS(fm[n],d) || rcp[(n)*D+(d)]==rr[n] || (src[n]==0 -> d==SOURCE(n) : d+1==src[n]))
#endif
#ifdef BUG_PARTIAL
#define ENOUGH(n) (rc[n]>0 && fm[n]>0)
#else
#define ENOUGH(n) ALLFENCED(n)
#endif
#define SETTLE(n) :: d_step { ENOUGH(n) && SAME(n,0) && SAME(n,1) && SAME(n,2) && COPIEDTO(n,0) && COPIEDTO(n,1) && COPIEDTO(n,2) && vcfg[n]==cfg -> mx=LONGEST(n)-1; \
    cutAt[ru[n]]=mx+1; q=ru[n]; for (i : 0 .. 1) { if :: UPTO(n,i) && hld[i]==n && tok[i]==rc[n] -> uns[i]=0; promise(q,i,mx); served[i]=rc[n]; bel[R(n,i)]=rc[n]; \
      keep[i]=0; for (k : 0 .. D-1) { if :: HAS(ins,k) && (keep[i]==0 || bv[R(k,i)]<keep[i]) -> keep[i]=bv[R(k,i)] :: else fi } :: else fi }; \
    CLR(n) check() }
#define TAKE(n) INHERIT(n,0) INHERIT(n,1) FENCE(n,0) FENCE(n,1) FENCE(n,2) \
  RCOPY(n,0,0) RCOPY(n,0,1) RCOPY(n,1,0) RCOPY(n,1,1) RCOPY(n,2,0) RCOPY(n,2,1) RADOPT(n,0) RADOPT(n,1) RADOPT(n,2) SETTLE(n)
#endif

#if T>=4
#define A4(d,c) APPLY(d,4,c)
#define F4(n) FLUSH(n,4)
#else
#define A4(d,c)
#define F4(n)
#endif
#if T>=3
#define A3(d,c) APPLY(d,3,c)
#define F3(n) FLUSH(n,3)
#else
#define A3(d,c)
#define F3(n)
#endif
#define AC(d,c) APPLY(d,1,c) APPLY(d,2,c) A3(d,c) A4(d,c)
#if C>=4
#define AC4(d) AC(d,4)
#else
#define AC4(d)
#endif
#if C>=3
#define AC3(d) AC(d,3)
#else
#define AC3(d)
#endif
#if C>=2
#define AC2(d) AC(d,2)
#else
#define AC2(d)
#endif
#if C>=1
#define AC1(d) AC(d,1)
#else
#define AC1(d)
#endif
#define DISK(d) AC(d,0) AC1(d) AC2(d) AC3(d) AC4(d) JOB(d)
#ifdef RETRY
#define WX(n) WRITEX(n)
#else
#define WX(n)
#endif
#define NODE(n) WRITE(n,0) WRITE(n,1) WX(n) FLUSH(n,1) FLUSH(n,2) F3(n) F4(n) REFRESH(n) \
  REMOVE(n,0) REMOVE(n,1) REMOVE(n,2) JOIN(n,0) JOIN(n,1) JOIN(n,2) HAND(n,0) HAND(n,1) TAKE(n)

/* the second range: the first node's with the first one, or the other's */
#ifdef SPLIT
#define T1 2
#else
#define T1 1
#endif
init {
  d_step {
    token=T1; ins=INS; whole[0]=true; whole[1]=true; whole[2]=(INS&4)!=0;
    for (i : 0 .. 1) { tok[i]=(i==1 -> T1 : 1); hld[i]=T1-1; hld[0]=0; bel[R(hld[i],i)]=tok[i]; served[i]=tok[i]; vin[i]=INS } }
  do
  NODE(0) NODE(1)
  DISK(0) DISK(1) DISK(2)
  LAND(0) LAND(1)
  od
}
