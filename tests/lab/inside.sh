#!/bin/bash
# What is tried inside the lab's machine (tests/lab/run.py). Each try writes a line into /lab/report.jsonl.
set -u
export PATH=/opt/enhanced-memory/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export ENHANCED_MEMORY_STORE=/var/lib/enhanced-memory/memory.db ENHANCED_MEMORY_AUTOSTART=false ENHANCED_MEMORY_CONNECT_TIMEOUT_S=120 ENHANCED_MEMORY_TIMEOUT_S=180

told() { # what ok says
  printf '{"what": "%s", "ok": "%s", "says": %s}\n' "$1" "$2" "$(printf '%s' "$3" | tail -c 600 | python -c 'import json,sys; print(json.dumps(sys.stdin.read().strip()))')" >> /lab/report.jsonl
}
try() { # what command…
  local what=$1 said; shift
  if said=$("$@" 2>&1); then told "$what" yes "$said"; else told "$what" no "code $?: $said"; fi
}
is() { [ "$1" = "$2" ] || { echo "it is $1, not $2"; return 1; }; echo "$1"; }
property() { systemctl show --property "$2" --value "$1"; }
within() { # seconds command…: until it holds
  local until=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do [ $SECONDS -lt $until ] || { "$@"; return 1; }; sleep 0.2; done
  echo "after $((SECONDS - until + ${1:+0})) s" > /dev/null; return 0
}

try "install" memoryctl install-service --system
mkdir -p /etc/systemd/system/memory-db.service.d
printf '[Service]\nWatchdogSec=10\n' > /etc/systemd/system/memory-db.service.d/zz-lab.conf
systemctl daemon-reload
try "the socket listens before the daemon runs" is "$(property memory-db.socket ActiveState)/$(property memory-db.service ActiveState)" active/inactive
try "the first connection starts it" memoryctl add Ada --type person "likes tea"
try "it has said that it is ready" is "$(property memory-db.service ActiveState)" active
try "it runs as its own account" is "$(ps -o user= -p "$(property memory-db.service MainPID)" | cut -c1-8)" enhanced
try "healthy" memoryctl health
try "the store is the account's alone" is "$(stat -c %a:%U /var/lib/enhanced-memory/memory.db)" 600:enhanced-memory

exposure() { systemd-analyze security --no-pager "$1" | tail -1; }
for unit in memory-db memory-mcp memory-backup; do
  try "exposure of $unit" exposure $unit.service
done

hung() {
  local pid; pid=$(property memory-db.service MainPID)
  kill -STOP "$pid"
  within 60 sh -c "[ \"\$(systemctl show --property MainPID --value memory-db.service)\" != $pid ] && [ \"\$(systemctl show --property NRestarts --value memory-db.service)\" -ge 1 ]" || return 1
  within 20 memoryctl show Ada || return 1
  echo "pid $pid was replaced by $(property memory-db.service MainPID)"
}
try "a daemon that hangs is replaced by the watchdog" hung

restarts() { # writers go on over restarts, and lose nothing that was acknowledged
  python /lab/load.py 12 > /lab/load.txt 2>&1 &
  local load=$! number
  sleep 2
  for number in 1 2 3; do systemctl restart memory-db.service || return 1; sleep 1.5; done
  systemctl kill --signal=KILL --kill-who=main memory-db.service
  wait $load; local code=$?
  cat /lab/load.txt
  return $code
}
try "restarts and a kill under load lose nothing" restarts

try "after the kill it is there again" memoryctl health
try "reload" systemctl reload memory-db.service
try "a backup by its unit" systemctl start memory-backup.service
try "the backup lies in the state directory" sh -c 'ls /var/lib/enhanced-memory/backups | grep -E "^memory_[0-9]{8}_[0-9]{6}\.db\.zst$"'
try "the timer waits for its night" sh -c 'systemctl list-timers --no-pager | grep memory-backup.timer'

backups() { find /var/lib/enhanced-memory/backups -name 'memory_*.db.zst' | wc -l; }
by_timer() { # its night comes now
  local before; before=$(backups)
  mkdir -p /etc/systemd/system/memory-backup.timer.d
  printf '[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nRandomizedDelaySec=0\nAccuracySec=1s\n' > /etc/systemd/system/memory-backup.timer.d/zz-lab.conf
  systemctl daemon-reload && systemctl restart memory-backup.timer || return 1
  within 90 sh -c "[ \$(find /var/lib/enhanced-memory/backups -name 'memory_*.db.zst' | wc -l) -gt $before ]" || return 1
  rm -r /etc/systemd/system/memory-backup.timer.d && systemctl daemon-reload && systemctl restart memory-backup.timer
  within 60 sh -c '[ "$(systemctl show --property ActiveState --value memory-backup.service)" = inactive ]' || return 1
  is "$(property memory-backup.service Result)" success
}
try "the timer runs it" by_timer

large() { # beyond 32 MiB a copy is checked by a process of its own, which has the same walls around it
  rm -f /etc/systemd/system/memory-db.service.d/zz-lab.conf && systemctl daemon-reload && systemctl restart memory-db.service
  python /lab/fill.py 40 || { journalctl --no-pager -n 8 -u memory-db; return 1; }
  systemctl start memory-backup.service || { journalctl --no-pager -n 5 -u memory-backup -u memory-db; return 1; }
  find /var/lib/enhanced-memory/backups -name 'memory_*.db.zst' -size +20M | grep . && memoryctl health
}
try "a backup of a store beyond 32 MiB" large

useradd --create-home guest && usermod -aG enhanced-memory guest
as_guest() { runuser -u guest -- env HOME=/home/guest PATH="$PATH" ENHANCED_MEMORY_STORE=$ENHANCED_MEMORY_STORE ENHANCED_MEMORY_AUTOSTART=false "$@"; }
try "a member of the group is served" as_guest memoryctl add Bob --type person "came as a guest"
denied() { local said; said=$("$@" 2>&1) && { echo "it was allowed"; return 1; }; echo "$said" | head -1; }
try "and may make no backup" denied as_guest memoryctl backup --to /tmp/guest.db
useradd --create-home stranger
try "a stranger is kept out" denied runuser -u stranger -- env HOME=/home/stranger PATH="$PATH" ENHANCED_MEMORY_SOCKET=/run/enhanced-memory/memory-db.sock ENHANCED_MEMORY_STORE=$ENHANCED_MEMORY_STORE ENHANCED_MEMORY_AUTOSTART=false memoryctl health

user_manager() { # the user form: another manager, the same units
  systemctl start dbus.socket systemd-logind.service || return 1
  local uid; uid=$(id -u guest)
  systemctl start "user@$uid.service" || return 1
  export XDG_RUNTIME_DIR=/run/user/$uid
  within 30 test -S "$XDG_RUNTIME_DIR/systemd/private" || return 1
  own() { runuser -u guest -- env -i HOME=/home/guest PATH="$PATH" LC_ALL=C.UTF-8 XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" ENHANCED_MEMORY_CONNECT_TIMEOUT_S=120 ENHANCED_MEMORY_TIMEOUT_S=180 "$@"; }
  own memoryctl install-service || return 1
  own memoryctl add Carol --type person "under a manager of her own" || return 1
  is "$(own systemctl --user show --property ActiveState --value memory-db.service)" active || return 1
  own systemctl --user start memory-backup.service || return 1
  ls /home/guest/memory_backups | grep -E "zst$" || return 1
  own systemctl --user restart memory-db.service && own memoryctl show Carol && own memoryctl uninstall-service
}
try "the user manager does the same" user_manager
unset XDG_RUNTIME_DIR

embeds() { # a process behind the socket, in a slice of its own; there is no model here, which it says
  python - <<'END'
import socket, subprocess
from enhanced_memory.client.wire import Frames, pack, unpack
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(60)
peer.connect("/run/enhanced-memory/memory-embed.sock")
found = subprocess.run(["systemctl", "list-units", "--no-legend", "memory-embed@*"], capture_output=True, text=True).stdout
print(found.strip())
assert "memory-embed@" in found
name = next(word for word in found.split() if word.startswith("memory-embed@"))
group = subprocess.run(["systemctl", "show", "--property", "ControlGroup", "--value", name], capture_output=True, text=True).stdout
print(group.strip())
assert "memory-embed.slice" in group
peer.sendall(pack({"model": "/no/such/model", "threads": 1}))
frames = Frames()
while data := peer.recv(1 << 16):
    for payload in frames.feed(data):
        print(unpack(payload))
        assert "There is no folder" in unpack(payload)["error"]
END
}
try "the embedding worker is in a slice of its own" embeds
try "exposure of memory-embed" sh -c 'systemd-analyze security --no-pager memory-embed@x.service | tail -1'

stops() { memoryctl add Last --type person "before the end" > /dev/null && systemctl stop memory-db.socket memory-db.service && is "$(property memory-db.service Result)" success; }
try "it stops in order" stops
try "uninstall" sh -c 'memoryctl uninstall-service --system'
try "nothing of it is left, and the memories are" sh -c '! ls /etc/systemd/system/memory-* 2>/dev/null && test -s /var/lib/enhanced-memory/memory.db'
told end yes ""
