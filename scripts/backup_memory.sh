#!/usr/bin/env bash
# Back the memory up, and let old backups go. Made for cron.
#
# usage: backup_memory.sh [FOLDER]
#
#   FOLDER             where backups are kept; default: $BACKUP_DIR, else ~/memory_backups
#   BACKUP_KEEP_DAYS   how many days they are kept; default: 7
#   MEMORYCTL          the command to use; default: the one beside this script, on PATH, or in the tree's .venv
#
#   crontab:  15 3 * * *  /path/to/backup_memory.sh
#
# The daemon makes the copy while it works on, and verifies it by opening it. Old ones go only after a new one is there,
# so a week of failures deletes nothing. Only files that this script's names fit are ever deleted. Where the setting
# `backup_second_folder` had a second copy made, old ones go there too.
#
# exit codes: 0 done · 1 no backup was made, or no second copy of it; nothing was deleted · 2 wrong argument or setting
#             3 backup made, but an old one could not be deleted · 75 another run is under way: try again later
set -euo pipefail
umask 077

say() { printf '%s backup_memory: %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$*"; }
stop() { local code=$1; shift; say "$*" >&2; exit "$code"; }

[ $# -le 1 ] || stop 2 "usage: backup_memory.sh [FOLDER]"
case ${1:-} in -*) stop 2 "usage: backup_memory.sh [FOLDER]" ;; esac

folder=${1:-${BACKUP_DIR:-${HOME:?backup_memory: HOME is not set; name a folder}/memory_backups}}
keep_days=${BACKUP_KEEP_DAYS:-7}
[[ $keep_days =~ ^[1-9][0-9]{0,4}$ ]] || stop 2 "BACKUP_KEEP_DAYS is a number of days from 1 to 99999, not '$keep_days'"

# cron's PATH is short, so the places where an installation puts the command are looked at first.
find_memoryctl() {
  local here candidate
  here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  for candidate in "$here/memoryctl" "$here/../.venv/bin/memoryctl"; do
    [ ! -x "$candidate" ] || { printf '%s\n' "$candidate"; return; }
  done
  command -v memoryctl || command -v "$HOME/.local/bin/memoryctl"
}
memoryctl=${MEMORYCTL:-$(find_memoryctl)} || stop 2 "memoryctl was not found; set MEMORYCTL=/path/to/memoryctl"
command -v "$memoryctl" >/dev/null || stop 2 "MEMORYCTL is $memoryctl, which cannot be run"

mkdir -p "$folder" || stop 1 "cannot make the folder $folder"
folder=$(cd "$folder" && pwd -P)
[ -w "$folder" ] || stop 1 "cannot write in $folder"

exec 9>"$folder/.backup_memory.lock"
flock --nonblock 9 || stop 75 "another run is under way in $folder"

# The lock is this script's: a daemon that memoryctl starts on demand must not keep it open.
output=$("$memoryctl" backup --to "$folder" 9>&-) || stop 1 "memoryctl backup failed; nothing was deleted. ${output:-}"
made=$(printf '%s\n' "$output" | grep -m 1 -oE '/.*/memory_[0-9]{8}_[0-9]{6}\.db[.a-z0-9]*' || true)
second=$(printf '%s\n' "$output" | sed -n 's,^second copy  *\(/.*\),\1,p')
[ -n "$made" ] || stop 1 "memoryctl backup named no memory_YYYYMMDD_HHMMSS.db; nothing was deleted. It said: $output"
[ "$(dirname "$made")" = "$folder" ] && [ -s "$made" ] || stop 1 "the backup $made is not in $folder, or is empty; nothing was deleted"
say "made $made ($(du -h "$made" | cut -f1))"
folders=("$folder")
if [ -n "$second" ]; then
  [ -s "$second" ] || stop 1 "the second copy $second is not there, or is empty; nothing was deleted"
  say "made $second"
  folders+=("$(dirname "$second")")
fi

# `find` goes by the time of writing. What belongs to the new backup stays whatever its time says.
stem=$(basename "${made%%.db*}")
failed=0
old=0
while IFS= read -r -d '' path; do
  if rm -- "$path"; then
    say "deleted $path: older than $keep_days days"
    old=$((old + 1))
  else
    failed=1
  fi
done < <(find "${folders[@]}" -maxdepth 1 -type f \
  -regextype posix-extended -regex '.*/memory_[0-9]{8}_[0-9]{6}\.db[.a-z0-9]*' \
  ! -name "$stem.db*" -mmin "+$((keep_days * 1440))" -print0)

kept=$(find "$folder" -maxdepth 1 -type f -regextype posix-extended \
  -regex '.*/memory_[0-9]{8}_[0-9]{6}\.db(\.zst)?' | wc -l)
say "kept $kept, deleted $old"
[ "$failed" -eq 0 ] || stop 3 "an old backup could not be deleted"
