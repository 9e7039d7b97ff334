# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts share: the packages they need, and building a preset. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOGS=$ROOT/build/test-logs
export ROOT LOGS

# Debian 12's names. Each list holds what its purpose needs beyond the lists before it.
PACKAGES_BUILD="gcc libc6-dev cmake ninja-build pkg-config libev-dev libssl-dev libyaml-dev libc-ares-dev"
PACKAGES_DEMO="curl"
PACKAGES_TEST="clang llvm libclang-rt-dev clang-format clang-tidy ccache libcmocka-dev python3
    python3-pytest python3-pytest-xdist python3-pytest-timeout curl wrk openssl git shellcheck
    scdoc man-db procps systemd mariadb-server postgresql redis-server testssl.sh
    sslscan pebble dehydrated"
PACKAGES_BENCH="python3 wrk nginx-light haproxy strace openssl"
export PACKAGES_BUILD PACKAGES_DEMO PACKAGES_TEST PACKAGES_BENCH

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# The packages of the list that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed' ||
            printf '%s ' "$package"
    done
}

# Installs what is missing when that is allowed, else says how.
need_packages() {
    local missing
    command -v dpkg-query >/dev/null 2>&1 || return 0 # not Debian: the build will say what it lacks
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] || die "Packages are missing. As root: apt-get install -y --no-install-recommends $missing"
    mkdir -p "$LOGS"
    echo "installing: $missing"
    # shellcheck disable=SC2086  # a list of words
    {
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    } >"$LOGS/packages.log" 2>&1 || die "apt-get failed; see build/test-logs/packages.log"
}

# Configures and builds a preset; further arguments go to the configuration.
build_preset() {
    local preset=$1 launcher=()
    shift
    command -v ccache >/dev/null 2>&1 && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    cmake --preset "$preset" "${launcher[@]}" "$@" && cmake --build --preset "$preset"
}
