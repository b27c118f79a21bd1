#!/bin/bash
# Checks the Promela models with spin: the unbroken ones must hold, every seeded fault must be found. `check.sh quick` (some
# minutes) leaves the large runs out; `check.sh full` makes them all; `check.sh short` (in .ci/run, under a minute) one unbroken
# model and one fault of each file. Needs spin and gcc. Prints a line a run.
# T = seconds and MEM = MB at most a run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mesh-spin-XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# run NAME MODEL EXPECT(holds|found) "MODEL FLAGS" ["CC FLAGS"] ["PAN FLAGS"]
run() {
  local dir="$work/$1"; mkdir -p "$dir"; cd "$dir" || exit 1
  # shellcheck disable=SC2086
  spin -a $4 "$here/$2" > spin.log 2>&1 || { cat spin.log; exit 1; }
  # shellcheck disable=SC2086
  gcc -O2 -w -DSAFETY -DNOFAIR -DNOREDUCE -DMEMLIM="${MEM:-2500}" -DVECTORSZ=1024 ${5:--DHC4} -o pan pan.c || exit 1
  local start; start=$(date +%s)
  # shellcheck disable=SC2086
  timeout "${T:-600}" ./pan -E ${6:--m6000 -w24} > out.log 2>&1
  local code=$? errors states verdict
  errors=$(grep -oE 'errors: [0-9]+' out.log | tail -1 | grep -oE '[0-9]+')
  states=$(grep -E 'states, stored' out.log | tail -1 | awk '{print $1}')
  local cut=''
  if [ "$code" -ne 0 ] || grep -qE 'max search depth too small|memory limit|out of memory|interrupted' out.log; then cut=' (cut: not a proof)'; fi
  if [ "$3" = found ]; then
    if grep -q 'assertion violated' out.log; then verdict='ok, found'; else verdict='NOT FOUND'; failed=1; fi; cut=''
  else
    if [ "${errors:-1}" -eq 0 ]; then verdict="ok, holds$cut"; else verdict="VIOLATED or broken off$cut"; failed=1; fi
  fi
  printf '%-34s | %-11s states | %4ss | %s | %s\n' "$1" "${states:-?}" "$(($(date +%s)-start))" "$verdict" "$4"
  cd "$work" && rm -rf "$dir"
}

R=reconfigure.pml; L=lease.pml; O=opening.pml
if [ "${1:-quick}" = short ]; then
  run reconfigure-hand-off $R holds "-DD=1 -DALONE -DNOSTEAL=1"
  run reconfigure-NOSNAPSHOT $R found "-DD=1 -DALONE -DBUG_NOSNAPSHOT"
  run lease-restart $L holds "-DNB=2 -DD=1 -DNRST=1 -DVRST=0 -DNOREVOKE"
  run lease-NOACK $L found "-DNB=2 -DD=1 -DVRST=0 -DNRST=0 -DBUG_NOACK"
  exit $failed
fi
run reconfigure-steal $R holds "-DD=1 -DALONE -DNOHAND=1"
run reconfigure-hand-off $R holds "-DD=1 -DALONE -DNOSTEAL=1"
for bug in NOGRACE MERGEDEVICTS SEALEDACC NOSNAPSHOT MINORITY; do run "reconfigure-$bug" $R found "-DD=1 -DALONE -DBUG_$bug"; done
for bug in NODECREE DECREEIGNORED; do run "reconfigure-$bug" $R found "-DD=1 -DSTILL -DBUG_$bug"; done
run opening-read $O holds "-DN=2 -DONCE"
run opening-again $O holds "-DN=2 -DNOREAD"
run opening-MAJORITY $O found "-DN=2 -DONCE -DNOREAD -DBUG_MAJORITY"
run opening-READ $O found "-DN=2 -DONCE -DBUG_READ"
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
if [ "${1:-quick}" = full ]; then
  run lease-RECVTIME $L found "-DNB=2 -DD=1 -DTWOSTEP -DVRST=0 -DNRST=0 -DNOREVOKE -DNOHAND=1 -DNOREL=1 -DBUG_RECVTIME"
  run lease-SAMETOKEN $L found "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DTEXT_SAMETOKEN"
  run lease-base $L holds "-DNB=3 -DD=1 -DVRST=0 -DNRST=0 -DNOREVOKE"
  run lease-twostep $L holds "-DNB=2 -DD=1 -DTWOSTEP -DVRST=0 -DNRST=0 -DNOREVOKE -DNOHAND=1 -DNOREL=1"
  run lease-voter-restart $L holds "-DNB=3 -DD=1 -DVRST=1 -DNRST=0 -DNOREVOKE"
  run lease-replica $L holds "-DNB=3 -DD=1 -DREPLICA -DVRST=0 -DNRST=0 -DNOREVOKE"
  run reconfigure-race $R holds "-DD=1 -DSTILL" "-DHC4" "-m6000 -w26"
  run reconfigure-d2 $R holds "-DD=2 -DALONE"
  run reconfigure-both $R holds "-DD=1" "-DBITSTATE" "-m6000 -w30"
fi
exit $failed
