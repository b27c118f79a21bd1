# To be sourced: runs one search of a Promela model with spin, in a folder that goes at the end. `here` is where the models are.
# T = seconds and MEM = MB at most a run.
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
  if [ "$code" -ne 0 ] || grep -qE 'Search not completed|MEMLIM|max search depth too small|out of memory|interrupted' out.log; then cut=' (cut: not a proof)'; fi
  if [ "$3" = found ]; then
    if grep -q 'assertion violated' out.log; then verdict='ok, found'; else verdict='NOT FOUND'; failed=1; fi; cut=''
  else
    if [ "${errors:-1}" -eq 0 ] && [ -n "$cut" ]; then verdict="no fault so far$cut"; failed=1
    elif [ "${errors:-1}" -eq 0 ]; then verdict='ok, holds'; else verdict="VIOLATED or broken off$cut"; failed=1; fi
  fi
  printf '%-34s | %-11s states | %4ss | %s | %s\n' "$1" "${states:-?}" "$(($(date +%s)-start))" "$verdict" "$4"
  cd "$work" && rm -rf "$dir"
}
