/* Round 10: from configuration 0 (voters 0,1,2) to 1, with two reconfigurers that race (0 wants 0,1,2 again, 1 wants
 * 1,2,3), while node 0 holds the one scope (token 1), node 1 takes it in either configuration, by hand-off or by theft, and
 * clocks run. Seal, snapshot from a majority, single-decree Paxos, activation with the decided snapshot, grace.
 * -DALONE: only one reconfigurer. -DSTILL: no clock and no renewals (what deciding needs). Both cut the states.
 * As in lease.pml: one scheduler, every option is one atomic step, the network is the set of messages ever sent.
 * hv0/hv1[v]: what is left at node 0 of D_h by voter v's word in configuration 0/1; vx0/vx1[v]: what is left at v of its
 * support for node 0. -DBASE: a reconfigurer copies what any voter has accepted, at any time before it seals; of a sealed
 * voter it then hears only what is above that. Node 1, the taker, counts as valid as soon as it holds: the worst case for I4, and fewer states. D_h = D_v = D ticks.   -DBUG_xxx = seeded faults.   Ballots 1 and 2 are of configuration 0, 3 is of 1.
 */
#ifndef D
#define D 1
#endif
#ifndef NOSTEAL
#define NOSTEAL 0
#endif
#ifndef NOHAND
#define NOHAND 0
#endif
#define W 4
#define POP(m) (((m)&1)+(((m)>>1)&1)+(((m)>>2)&1)+(((m)>>3)&1))
#define MEM(r) ((r)==0 -> 7 : 14)

byte prom0[3]; byte acc0[3]; bool sealed[3]; bool min0[3]; byte vx0[3];
byte act[W]; byte prom1[W]; byte acc1[W]; bool min1[W]; byte vx1[W];
byte hv0[3]; byte hv1[W];
byte hold[2]; byte relq[2];
/* ballots: 0 not begun, 1 prepare sent, 2 accept sent */
byte ph[4]; byte op[4]; byte rm[4]; byte ra[4]; byte re[4]; byte ac[4]; byte vh[4]; byte vt[4];
/* reconfigurers */
byte rs[2]; byte snapM[2]; byte snapB[2]; bool snapE[2];
#ifdef BASE
byte base[2];
#define COPY(v,r) :: d_step { rs[r]==0 && acc0[v]>base[r] -> base[r]=acc0[v] }
#define FROM(r) base[r]
#else
#define COPY(v,r)
#define FROM(r) 0
#endif
#ifdef BUG_NOTAIL
#define TOLD(v,r) (FROM(r)==0)
#else
#define TOLD(v,r) (acc0[v]>FROM(r))
#endif
byte dprom[3]; byte dacc[3]; byte dpm[2]; byte dpa[2]; byte dam[2]; byte dv[2]; bool dsent[2];
byte decided;   /* 1 + whose snapshot */
hidden byte i; hidden byte j;

#define STEAL 1
#define HAND 2
#define FREE 9
#define NV0 ((hv0[0]>0)+(hv0[1]>0)+(hv0[2]>0))
#define NV1 ((hv1[0]>0)+(hv1[1]>0)+(hv1[2]>0)+(hv1[3]>0))
#define VALID0 (hold[0]>0 && (NV0>=2 || NV1>=2))

inline check() {
  assert(!(VALID0 && hold[1]>0));                                   /* I4 */
  for (i : 0 .. W-1) { for (j : i+1 .. W-1) {
    assert(act[i]==0 || act[j]==0 || act[i]==act[j]) } }               /* I7: one successor */
  for (i : 1 .. 2) { if
    :: POP(ac[i])>=2 && decided>0 -> assert(snapB[decided-1]>=i)       /* I7: what was chosen is in it */
    :: else fi };
  for (i : 1 .. 3) { for (j : i+1 .. 3) { if
    :: POP(ac[i])>=2 && POP(ac[j])>=2 -> assert(vt[i]<=vt[j] && (vt[i]<vt[j] || vh[i]==vh[j]))   /* I2, I3 */
    :: else fi } };
  skip
}
/* the change, on the value read in this round */
inline change(b) {
  vh[b]=(ra[b]==0 -> FREE : vh[ra[b]]); vt[b]=(ra[b]==0 -> 0 : vt[ra[b]]);
  if
  :: op[b]==STEAL && vh[b]==0 && POP(re[b])>=2 -> vh[b]=1; vt[b]=vt[b]+1
  :: op[b]==STEAL && vh[b]==FREE -> vh[b]=1; vt[b]=vt[b]+1
  :: op[b]==HAND && vh[b]==0 && vt[b]==relq[0] -> vh[b]=1; vt[b]=vt[b]+1
  :: else
  fi;
  ph[b]=2; rm[b]=0; ra[b]=0; re[b]=0; op[b]=0
}

#ifdef BUG_SEALEDACC
#define OPEN(v) true
#else
#define OPEN(v) !sealed[v]
#endif
/* ---- configuration 0 ---- */
#define PREP0(v) :: d_step { ph[2]==1 && prom0[v]<2 && OPEN(v) -> prom0[v]=2; rm[2]=rm[2]|(1<<v); \
    if :: acc0[v]>ra[2] -> ra[2]=acc0[v] :: else fi; \
    if :: op[2]==STEAL && vx0[v]==0 -> min0[v]=true; re[2]=re[2]|(1<<v) :: else fi; check() }
#define ACC0(v,b) :: d_step { ph[b]==2 && prom0[v]<=b && OPEN(v) && !(ac[b]&(1<<v)) -> prom0[v]=b; acc0[v]=b; ac[b]=ac[b]|(1<<v); check() }
#define RENEW0(v) :: d_step { !sealed[v] && !min0[v] && (hv0[v]<D || vx0[v]<D) -> hv0[v]=D; vx0[v]=D; check() }
/* ---- sealing and deciding ---- */
#define SEAL(v) :: d_step { !sealed[v] && (rs[0]>0 || rs[1]>0) -> sealed[v]=true }
#ifdef BUG_MINORITY
#define ENOUGH 1
#else
#define ENOUGH 2
#endif
#define SNAP(v,r) :: d_step { rs[r]==1 && sealed[v] && !(snapM[r]&(1<<v)) && POP(snapM[r])<ENOUGH -> snapM[r]=snapM[r]|(1<<v); \
    if :: TOLD(v,r) && acc0[v]>snapB[r] -> snapB[r]=acc0[v] :: else fi; if :: min0[v] -> snapE[r]=true :: else fi }
/* -DEARLY: asked for along with the seal, so promised before the snapshot is whole */
#ifdef EARLY
#define MAYPREP(r) (rs[r]==1 || rs[r]==2)
#else
#define MAYPREP(r) (rs[r]==2)
#endif
#define DPREP(v,r) :: d_step { MAYPREP(r) && dprom[v]<r+1 && sealed[v] -> dprom[v]=r+1; dpm[r]=dpm[r]|(1<<v); if :: dacc[v]>dpa[r] -> dpa[r]=dacc[v] :: else fi }
#ifdef BUG_DECREEIGNORED
#define PICK(r) dv[r]=r
#else
#define PICK(r) dv[r]=(dpa[r]==0 -> r : dv[dpa[r]-1])
#endif
#define DACC(v,r) :: d_step { dsent[r] && dprom[v]<=r+1 && sealed[v] && !(dam[r]&(1<<v)) -> dprom[v]=r+1; dacc[v]=r+1; dam[r]=dam[r]|(1<<v); \
    if :: POP(dam[r])>=2 && decided==0 -> decided=dv[r]+1 :: else fi; check() }
#define RECONF(r) :: d_step { rs[r]==0 -> rs[r]=1 } \
  :: d_step { rs[r]==1 && POP(snapM[r])>=ENOUGH -> rs[r]=2; if :: FROM(r)>snapB[r] -> snapB[r]=FROM(r) :: else fi } \
  :: d_step { rs[r]==2 && POP(dpm[r])>=2 && !dsent[r] -> PICK(r); dsent[r]=true; rs[r]=3 }
#ifdef BUG_NODECREE
#define MAYACT(r) (rs[r]>=2)
#define WHAT(r) (r)
#else
#define MAYACT(r) (POP(dam[r])>=2)
#define WHAT(r) (dv[r])
#endif
#ifdef BUG_NOGRACE
#define GRACE 0
#else
#define GRACE D
#endif
#ifdef BUG_NOSNAPSHOT
#define SNAPB(r) 0
#else
#define SNAPB(r) snapB[WHAT(r)]
#endif
#define ACT(v,r) :: d_step { MAYACT(r) && act[v]==0 && (MEM(WHAT(r))&(1<<v)) -> act[v]=1+WHAT(r); acc1[v]=SNAPB(r); prom1[v]=0; min1[v]=snapE[WHAT(r)]; vx1[v]=GRACE; check() }
/* ---- configuration 1 ---- */
/* within the grace a minimum that came with the snapshot evicts nobody */
#ifdef BUG_MERGEDEVICTS
#define EVICTED(v) (min1[v] || vx1[v]==0)
#else
#define EVICTED(v) (vx1[v]==0)
#endif
#define PREP1(v) :: d_step { ph[3]==1 && act[v]>0 && prom1[v]<3 -> prom1[v]=3; rm[3]=rm[3]|(1<<v); \
    if :: acc1[v]>ra[3] -> ra[3]=acc1[v] :: else fi; \
    if :: op[3]==STEAL && EVICTED(v) -> min1[v]=true; re[3]=re[3]|(1<<v) :: else fi; check() }
#define ACC1(v,b) :: d_step { ph[b]==2 && act[v]>0 && prom1[v]<=b && !(ac[b]&(1<<v)) -> prom1[v]=b; acc1[v]=b; ac[b]=ac[b]|(1<<v); check() }
#define RENEW1(v) :: d_step { act[v]>0 && !min1[v] && (hv1[v]<D || vx1[v]<D) -> hv1[v]=D; vx1[v]=D; check() }
/* ---- nodes ---- */
#define BEGIN(b) \
  :: d_step { ph[b]==0 && !NOSTEAL -> ph[b]=1; op[b]=STEAL } \
  :: d_step { ph[b]==0 && hold[0]>0 && !NOHAND -> ph[b]=1; op[b]=HAND; relq[0]=hold[0]; hold[0]=0 }
#define GO(b) :: d_step { ph[b]==1 && POP(rm[b])>=2 -> change(b); check() }
#define LEARN(n,b) :: d_step { POP(ac[b])>=2 && vh[b]==n && vt[b]>relq[n] && vt[b]>hold[n] -> hold[n]=vt[b]; check() }
/* node 0 hears of a higher token */
#define TICK :: d_step { for (i : 0 .. 2) { if :: vx0[i]>0 -> vx0[i]-- :: else fi }; \
    for (i : 0 .. W-1) { if :: vx1[i]>0 -> vx1[i]-- :: else fi }; \
    for (i : 0 .. 2) { if :: hv0[i]>0 -> hv0[i]-- :: else fi }; \
    for (i : 0 .. W-1) { if :: hv1[i]>0 -> hv1[i]-- :: else fi }; check() }

init {
  d_step {
    ph[1]=2; vh[1]=0; vt[1]=1; ac[1]=3; acc0[0]=1; acc0[1]=1; prom0[0]=1; prom0[1]=1; hold[0]=1;
    for (i : 0 .. 2) { vx0[i]=D; hv0[i]=D } }
  do
#ifndef STILL
  TICK
  RENEW0(0) RENEW0(1) RENEW0(2) RENEW1(0) RENEW1(1) RENEW1(2) RENEW1(3)
#endif
  BEGIN(2) BEGIN(3) GO(2) GO(3)
  PREP0(0) PREP0(1) PREP0(2) ACC0(0,1) ACC0(1,1) ACC0(2,1) ACC0(0,2) ACC0(1,2) ACC0(2,2)
  SEAL(0) SEAL(1) SEAL(2) RECONF(0)
  COPY(0,0) COPY(1,0) COPY(2,0)
  SNAP(0,0) SNAP(1,0) SNAP(2,0) DPREP(0,0) DPREP(1,0) DPREP(2,0) DACC(0,0) DACC(1,0) DACC(2,0)
  ACT(0,0) ACT(1,0) ACT(2,0) ACT(3,0)
#ifndef ALONE
  COPY(0,1) COPY(1,1) COPY(2,1)
  RECONF(1) SNAP(0,1) SNAP(1,1) SNAP(2,1) DPREP(0,1) DPREP(1,1) DPREP(2,1) DACC(0,1) DACC(1,1) DACC(2,1)
  ACT(0,1) ACT(1,1) ACT(2,1) ACT(3,1)
#endif
  PREP1(0) PREP1(1) PREP1(2) PREP1(3) ACC1(0,3) ACC1(1,3) ACC1(2,3) ACC1(3,3)
  LEARN(1,2) LEARN(1,3)
  od
}
