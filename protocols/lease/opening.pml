/* First values without a prepare (round 3, see README.md): 3 voters, N proposers, 1 scope that was never written, 1 reader.
 * Proposer p opens with its own value (p) under opening ballot p; its ordinary ballot is N+p, promised by whoever answers the
 * opening; proposer 1 has 2N+1 as well, a second try with a prepare of its own (unless -DONCE). Every change leaves what it read as it is, so that what must
 * hold is short: all that is ever chosen, or told to the reader as chosen, is one value.
 * The network is the set of messages ever sent: each is handled by each voter once, at any later time, or never.
 *
 * -DBUG_MAJORITY  an opening is chosen when a majority has taken it
 * -DBUG_READ      the reader believes an opening that a majority shows
 * -DBUG_PROMISED  an opening is taken over a promise
 * -DBUG_SECOND    a voter takes a second opening
 */
#define V 3
#ifndef N
#define N 3
#endif
#define ALL 7
#define POP(m) (((m)&1)+(((m)>>1)&1)+(((m)>>2)&1))

byte prom[V]; byte acc[V];              /* ballots; 0: none */
byte val[3*N+1];                        /* value of a ballot that was proposed */
byte took[N+1];                         /* by whom an opening was taken */
byte got[3*N+1]; byte high[3*N+1];      /* promises of an ordinary ballot: by whom, highest ballot that they had accepted */
byte ac[3*N+1];
bool opened[(N+1)*V]; bool proposed[3*N+1];
byte seen[V]; bool asked[V];            /* the reader's answers */
byte told;
hidden byte i;

inline chosen(x) { assert(told==0 || told==x); told=x }
inline promise(v,b) { prom[v]=b; got[b]=got[b]|(1<<v); if :: acc[v]>high[b] -> high[b]=acc[v] :: else fi }

#ifdef BUG_PROMISED
#define EMPTY(v) (acc[v]==0)
#else
#ifdef BUG_SECOND
#define EMPTY(v) ((acc[v]==0 && prom[v]==0) || (acc[v]>0 && acc[v]<=N && prom[v]<=2*N))
#else
#define EMPTY(v) (acc[v]==0 && prom[v]==0)
#endif
#endif
#ifdef BUG_MAJORITY
#define ENOUGH(m) (POP(m)>=2)
#else
#define ENOUGH(m) ((m)==ALL)
#endif

/* voter v handles the opening of p, once */
#define OPEN(v,p) :: d_step { !opened[(p)*V+(v)] -> opened[(p)*V+(v)]=true; \
  if :: EMPTY(v) -> acc[v]=p; val[p]=p; took[p]=took[p]|(1<<v); \
        if :: prom[v]<N+(p) -> promise(v,N+(p)) :: else fi; \
        if :: ENOUGH(took[p]) -> chosen(p) :: else fi \
     :: !EMPTY(v) && prom[v]<N+(p) -> promise(v,N+(p)) \
     :: else fi }
/* a second try: an ordinary prepare */
#define PREP(v,p) :: d_step { !(got[2*N+(p)]&(1<<v)) && prom[v]<2*N+(p) -> promise(v,2*N+(p)) }
/* a majority has promised: propose what the highest of them had, or one's own */
#define PROPOSE(p,b) :: d_step { !proposed[b] && POP(got[b])>=2 -> proposed[b]=true; val[b]=(high[b]==0 -> p : val[high[b]]) }
#define ACCEPT(v,b) :: d_step { proposed[b] && prom[v]<=b && !(ac[b]&(1<<v)) -> prom[v]=b; acc[v]=b; ac[b]=ac[b]|(1<<v); \
  if :: POP(ac[b])>=2 -> chosen(val[b]) :: else fi }
#define READ(v) :: d_step { !asked[v] -> asked[v]=true; seen[v]=acc[v] }
#define SAME(b) ((asked[0]&&seen[0]==b)+2*(asked[1]&&seen[1]==b)+4*(asked[2]&&seen[2]==b))
#define TELL(v) :: d_step { asked[v] && seen[v]>0 && (seen[v]>N && POP(SAME(seen[v]))>=2 || POP(SAME(seen[v]))==3 READBUG(v)) -> chosen(val[seen[v]]); seen[v]=0 }
#ifdef BUG_READ
#define READBUG(v) || POP(SAME(seen[v]))>=2
#else
#define READBUG(v)
#endif
#define VOTERS(M,x) M(0,x) M(1,x) M(2,x)
#define ONE(p) VOTERS(OPEN,p) PROPOSE(p,N+(p)) VOTERS(ACCEPT,N+(p))
#define AGAIN(p) VOTERS(PREP,p) PROPOSE(p,2*N+(p)) VOTERS(ACCEPT,2*N+(p))

init {
  do
  ONE(1) ONE(2)
#ifndef ONCE
  AGAIN(1)
#endif
#if N==3
  ONE(3)
#endif
#ifndef NOREAD
  READ(0) READ(1) READ(2) TELL(0) TELL(1) TELL(2)
#endif
  od
}
