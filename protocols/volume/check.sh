#!/bin/bash
# Checks the Promela model of a volume's segment with spin: unbroken it must hold, every seeded fault must be found.
# `check.sh short` (in .ci/run): one small unbroken model and two faults; `check.sh full`: the large ones, too.
# Needs spin and gcc. Prints a line a run. T = seconds and MEM = MB at most a run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../spin.sh
. "$here/../spin.sh"

M=segment.pml
B="-DHC4"
# fault NAME "MODEL FLAGS"
fault() { run "segment-$1" $M found "$2 -DBUG_$1" "$B" "-m20000 -w22"; }
dead="-DT=3 -DC=2 -DS=2 -DNW=2 -DINS=7 -DNOJOIN -DNOHAND"
join="-DT=2 -DC=3 -DS=2 -DNW=2 -DNOHAND"
hand="-DT=3 -DC=1 -DS=2 -DNW=2 -DNOJOIN"
if [ "${1:-quick}" = short ]; then
  run segment-dead-small $M holds "-DT=3 -DC=1 -DS=1 -DNW=2 -DNOJOIN -DNOHAND"
  fault JOINNOTWAITED "-DT=2 -DC=3 -DS=1 -DNW=2 -DNOHAND -DNODEATH"
  fault KEEPENDS "-DT=2 -DC=3 -DS=2 -DNW=2 -DNOHAND -DNODEATH"
  exit $failed
fi
fault NOFENCE "$dead"
fault TAILFIRST "$dead"
fault NOCUT "$dead"
fault PARTIAL "$dead"
fault STALECOPY "$dead"
fault LAZYCOPY "$dead"
fault EARLY "$join"
fault NOADOPT "-DT=2 -DC=3 -DS=1 -DNW=2 -DNOHAND -DSPLIT -DNODEATH"
fault JOINNOTWAITED "-DT=2 -DC=3 -DS=1 -DNW=2 -DNOHAND -DNODEATH"
fault JOINUNSETTLED "-DT=3 -DC=3 -DS=1 -DNW=1 -DNOHAND -DSPLIT"
fault KEEPENDS "-DT=2 -DC=3 -DS=2 -DNW=2 -DNOHAND -DNODEATH"
fault NOFLOOR "-DT=3 -DC=3 -DS=1 -DNW=1 -DNOHAND"
fault DIRTY "$hand -DNODEATH"
fault RETRYTWICE "$hand -DRETRY -DNODEATH"
fault TAKEALL "$hand -DNODEATH"
fault STALEBASE "-DT=2 -DC=1 -DS=1 -DNW=1 -DNOJOIN -DNODEATH"
run segment-dead-small $M holds "-DT=3 -DC=1 -DS=1 -DNW=2 -DNOJOIN -DNOHAND"
run segment-hand-small $M holds "-DT=3 -DC=1 -DS=1 -DNW=2 -DNOJOIN -DNODEATH"
if [ "${1:-quick}" = full ]; then
  run segment-dead $M holds "$dead"
  run segment-hand $M holds "$hand"
  run segment-join $M holds "$join"
fi
exit $failed
