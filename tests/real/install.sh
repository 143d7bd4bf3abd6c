#!/bin/sh
# Installs what the real tests need, on Debian 12 or later: Postfix, Dovecot, OpenSSL, Python and
# its own tests, the programs that are run wrapped (Git, GDB, make …), and a browser to look at mails
# with (Chromium, and a font for Chinese) by apt;
# scikit-learn for the real training by pip, into target/test-venv and nowhere else.
# As root, or as somebody who may use sudo. Says what it does; quick when all is there.
# The tests start servers of their own on loopback: none is left running or enabled here.
set -eu

say() { printf 'install.sh: %s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# Its own tests are a package of each version; Debian 12 has 3.11.
version=$(dpkg-query -W -f '${Version}' python3 2>/dev/null | sed -E 's/^(3\.[0-9]+).*/\1/')
packages="postfix dovecot-core openssl python3 python3-venv util-linux procps bash git less vim-tiny
    make gdb strace e2fsprogs mount bats spamassassin unzip busybox sudo time systemd libpython${version:-3.11}-testsuite
    chromium fontconfig fonts-dejavu-core fonts-noto-cjk"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    fail "this needs a Debian with apt-get; elsewhere install by hand: $packages"

# The Python of the real training. /usr/bin/python3 is the one that python3-venv belongs to. The copy
# of the requirements is put there last: what was cut off is done anew.
venv=$(cd "$(dirname "$0")/../.." && pwd)/target/test-venv
requirements=$(dirname "$0")/requirements.txt

python_is_there() {
    cmp -s "$requirements" "$venv/installed.txt" && "$venv/bin/python" -c '' 2>/dev/null
}

install_python() {
    if python_is_there; then return; fi
    say "installing scikit-learn and tqdm into $venv"
    /usr/bin/python3 -m venv --clear "$venv" || fail "could not make $venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --only-binary :all: -r "$requirements" ||
        fail "pip could not install what $requirements lists: is the network up, and Python 3.11 or newer?"
    cp "$requirements" "$venv/installed.txt"
}

missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    if python_is_there; then
        say 'all is there: nothing to do'
    else
        install_python
        say 'done'
    fi
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    root=
elif command -v sudo >/dev/null; then
    root=sudo
else
    fail "missing:$missing. Run this as root, or install sudo"
fi

# Packages start and enable their servers when they are installed: policy-rc.d (the hook that Debian
# has for it) forbids the first for this while, `update-rc.d` undoes the second.
policy=/usr/sbin/policy-rc.d
ours=
tidy() {
    [ -z "$ours" ] || $root rm -f "$policy"
}
trap tidy EXIT
trap 'exit 130' INT TERM HUP
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
    $root chmod 755 "$policy"
fi

say "installing:$missing"
# "No configuration": the system gets no mail server out of this, only the programs.
case $missing in
*postfix*) echo 'postfix postfix/main_mailer_type select No configuration' | $root debconf-set-selections ;;
esac
get() {
    $root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
get update || fail 'the package lists could not be fetched: is the network up?'
# --no-remove: Postfix would replace another mail server (Exim); that isn't ours to decide.
# shellcheck disable=SC2086 # $missing is a list
get install -y --no-install-recommends --no-remove $missing ||
    fail "could not install:$missing. If another mail server is in the way, use a container"

for service in postfix dovecot; do
    case $missing in
    *"$service"*)
        say "$service was not started and will not be at boot"
        $root update-rc.d "$service" disable >/dev/null 2>&1 || fail "$service could not be disabled"
        ;;
    esac
done

for package in $packages; do
    installed "$package" || fail "$package still isn't installed"
done
install_python
say 'done'
