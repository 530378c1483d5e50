#!/bin/sh
# Writes an SSL config for tensorflow_model_server (--ssl_config_file) on stdout, from PEM files.
#
#   ssl-config.sh SERVER_KEY SERVER_CERT              TLS
#   ssl-config.sh SERVER_KEY SERVER_CERT CLIENT_CA    mutual TLS: clients need a certificate of this authority
#
# The result holds the private key: (umask 077; ssl-config.sh server.key server.crt > ssl.config)
set -eu

fail() {
    echo "ssl-config.sh: $1" >&2
    exit "${2:-1}"
}

# Whether a PEM file holds what its place asks for; a key that stands where a certificate belongs is sent to clients.
check() {
    [ -r "$2" ] || fail "$2: cannot be read, expected a PEM file"
    grep -q -e "^-----BEGIN .*$1-----" "$2" || fail "$2: no $1 found, expected a PEM file with one"
}

# A PEM text as one string of a text proto. PEM has neither quotes nor backslashes.
string() {
    printf '%s: "' "$1"
    tr -d '\r' <"$2" | awk '{ printf "%s\\n", $0 }'
    printf '"\n'
}

[ $# -eq 2 ] || [ $# -eq 3 ] || fail "usage: ssl-config.sh SERVER_KEY SERVER_CERT [CLIENT_CA] > ssl.config" 2
check "PRIVATE KEY" "$1"
check CERTIFICATE "$2"
[ $# -eq 2 ] || check CERTIFICATE "$3"
grep -q -e "PRIVATE KEY-----" "$2" && fail "$2: holds a private key, expected certificates alone"

string server_key "$1"
string server_cert "$2"
if [ $# -eq 3 ]; then
    string custom_ca "$3"
    echo 'client_verify: true'
fi
