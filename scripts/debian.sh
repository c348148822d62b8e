# For the scripts that install what the tests need; they source it. shellcheck shell=bash
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# have PROGRAM…: whether all of these programs are there.
have() { local program; for program in "$@"; do command -v "$program" >/dev/null || return 1; done; }

# need_packages PACKAGE…: install those packages of Debian that are missing. No service that they bring is started, and
# PostgreSQL's makes no cluster: the tests start servers of their own, and leave any other alone.
need_packages() {
  local package missing=()
  have apt-get || fail "the tests need what Debian has as: $*"
  for package in "$@"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "the tests need more packages: sudo apt-get install ${missing[*]}"
  apt-get update -qq
  if [[ " ${missing[*]} " = *" postgresql "* ]]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/mltrail-tests.conf
  fi
  (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap 'rm -f "$policy"' EXIT
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod +x "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  )
}
