#!/bin/bash
# Checks the Promela models with spin: the unbroken ones must hold, every seeded fault must be found. `check.sh quick` (some
# minutes) leaves the large runs out; `check.sh full` makes them all; `check.sh short` (in .ci/run, under a minute) one unbroken
# model and one fault of each file. Needs spin and gcc. Prints a line a run.
# T = seconds and MEM = MB at most a run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../spin.sh
. "$here/../spin.sh"

R=reconfigure.pml; L=lease.pml; O=opening.pml
if [ "${1:-quick}" = short ]; then
  run reconfigure-hand-off $R holds "-DD=1 -DALONE -DNOSTEAL=1"
  run reconfigure-NOSNAPSHOT $R found "-DD=1 -DALONE -DBUG_NOSNAPSHOT"
  run lease-restart $L holds "-DNB=2 -DD=1 -DNRST=1 -DVRST=0 -DNOREVOKE"
  run lease-NOACK $L found "-DNB=2 -DD=1 -DVRST=0 -DNRST=0 -DBUG_NOACK"
  run lease-no-clocks $L holds "-DNB=2 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE -DNOCLOCKS"
  exit $failed
fi
run reconfigure-steal $R holds "-DD=1 -DALONE -DNOHAND=1"
run reconfigure-hand-off $R holds "-DD=1 -DALONE -DNOSTEAL=1"
for bug in NOGRACE MERGEDEVICTS SEALEDACC NOSNAPSHOT MINORITY; do run "reconfigure-$bug" $R found "-DD=1 -DALONE -DBUG_$bug"; done
run reconfigure-base-hand-off $R holds "-DD=1 -DALONE -DNOSTEAL=1 -DBASE"
run reconfigure-early $R holds "-DD=1 -DALONE -DNOSTEAL=1 -DBASE -DEARLY"
run reconfigure-early-DECREEIGNORED $R found "-DD=1 -DSTILL -DEARLY -DBUG_DECREEIGNORED"
run reconfigure-base-NOTAIL $R found "-DD=1 -DALONE -DBASE -DBUG_NOTAIL"
for bug in NODECREE DECREEIGNORED; do run "reconfigure-$bug" $R found "-DD=1 -DSTILL -DBUG_$bug"; done
run opening-read $O holds "-DN=2 -DONCE"
run opening-again $O holds "-DN=2 -DNOREAD"
run opening-MAJORITY $O found "-DN=2 -DONCE -DNOREAD -DBUG_MAJORITY"
run opening-READ $O found "-DN=2 -DONCE -DBUG_READ"
run opening-three $O holds "-DN=3 -DONCE -DNOREAD"
for bug in PROMISED SECOND; do run "opening-$bug" $O found "-DN=2 -DNOREAD -DBUG_$bug"; done
run lease-restart $L holds "-DNB=2 -DD=1 -DNRST=1 -DVRST=0 -DNOREVOKE"
run lease-revoke $L holds "-DNB=2 -DD=1 -DVRST=0 -DNRST=0"
run lease-REVCLEAR $L found "-DNB=2 -DD=1 -DVRST=0 -DNRST=0 -DTEXT_REVCLEAR"
run lease-NOACK $L found "-DNB=2 -DD=1 -DVRST=0 -DNRST=0 -DBUG_NOACK"
run lease-FASTREAD $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE -DTEXT_FASTREAD"
run lease-RESUME $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE -DBUG_RESUME"
run lease-NORELQ $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE -DBUG_NORELQ"
run lease-EVICTRENEW $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE -DBUG_EVICTRENEW"
run lease-NOGRACE $L found "-DNB=3 -DD=1 -DVRST=1 -DNRST=0 -DNOREVOKE -DBUG_NOGRACE"
run lease-NORAISE $L found "-DNB=4 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE -DBUG_NORAISE"
run lease-SERVENOFENCE $L found "-DNB=3 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE -DBUG_SERVENOFENCE"
run lease-twostep-roles $L holds "-DNB=2 -DD=1 -DTWOSTEP -DVRST=0 -DNRST=0 -DNOREVOKE -DNOHAND=1 -DNOREL=1 -DROLES"
run lease-RECVTIME $L found "-DNB=2 -DD=1 -DTWOSTEP -DVRST=0 -DNRST=0 -DNOREVOKE -DNOHAND=1 -DNOREL=1 -DROLES -DBUG_RECVTIME"
run lease-same-token $L holds "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOSTEAL=1 -DNOHAND=1 -DNOREL=1 -DROLES -DSTILL"
run lease-SAMETOKEN $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOSTEAL=1 -DNOHAND=1 -DNOREL=1 -DROLES -DSTILL -DTEXT_SAMETOKEN"
run lease-no-clocks $L holds "-DNB=3 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE -DNOCLOCKS"
run lease-no-clocks-SERVENOFENCE $L found "-DNB=2 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE -DNOCLOCKS -DBUG_SERVENOFENCE"
if [ "${1:-quick}" = full ]; then
  run lease-base $L holds "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE"
  run lease-twostep $L holds "-DNB=2 -DD=1 -DTWOSTEP -DVRST=0 -DNRST=0 -DNOREVOKE -DNOHAND=1 -DNOREL=1"
  run lease-voter-restart $L holds "-DNB=3 -DD=1 -DVRST=1 -DNRST=0 -DNOREVOKE"
  run lease-replica $L holds "-DNB=3 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE"
  run reconfigure-race $R holds "-DD=1 -DSTILL" "-DHC4" "-m6000 -w28"
  run reconfigure-d2 $R holds "-DD=2 -DALONE"
  run reconfigure-both $R holds "-DD=1" "-DBITSTATE" "-m6000 -w30"
fi
exit $failed
