#!/usr/bin/env bash
# Lets schemathesis loose on a running instance, by what /openapi.json promises: with a token no answer may break the
# promise, without one every answer is 401. Needs Python 3.10+ with venv, and what `npm start` needs; about a minute.
# SEED and MAX_EXAMPLES (of each call) may be set; the same seed asks the same again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/node_modules/.bin:$PATH" NO_COLOR=1

VERSION=4.32.5
TIME_LIMIT=300
tool=$PWD/.genesis/schemathesis-$VERSION
work=$(mktemp -d)
genesis=

cleanup() {
  if [ -n "$genesis" ]; then
    kill -TERM "$genesis" 2>/dev/null || true
    wait "$genesis" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

# Beside and then moved: an installation that was broken off is not taken for a whole one.
if [ ! -x "$tool/bin/schemathesis" ]; then
  mkdir -p .genesis
  rm -rf "$tool"
  python3 -m venv "$tool"
  "$tool/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION" || { rm -rf "$tool"; exit 1; }
fi

JWT_SECRET=$(node -p 'crypto.randomBytes(32).toString("hex")')
export JWT_SECRET
env -u DATABASE_URL -u POSTGRES_HOST -u KAFKA_BROKERS -u KAFKA_HOST -u JWT_JWKS_URL \
  LOCAL_DATA_DIR="$work/data" HOST=127.0.0.1 PORT=0 AGENT_DELAY=off RATE_LIMIT_PER_USER=0 LOG_LEVEL=ERROR \
  node src/bin/main.ts start >"$work/log" 2>&1 &
genesis=$!
until url=$(sed -n 's/^  API  *\(http:[^ ]*\)$/\1/p' "$work/log") && [ -n "$url" ]; do
  kill -0 "$genesis" 2>/dev/null || { cat "$work/log"; exit 1; }
  read -rt 0.2 <> <(:) || true
done

token=$(node --input-type=module -e "
  const { createDevelopmentToken } = await import('$PWD/src/http/development-token.ts');
  console.log(await createDevelopmentToken({
    secret: process.env.JWT_SECRET, user: 'schemathesis', roles: ['author', 'agent'], expiresIn: 3600,
  }));")

# attack CONFIG OPTION... It keeps notes of earlier runs where it runs: there shall be none.
attack() (
  config=$PWD/checks/$1
  export SCHEMATHESIS_HOOKS="$PWD/checks/schemathesis_hooks.py"
  shift
  cd "$work"
  timeout "$TIME_LIMIT" "$tool/bin/schemathesis" --config-file "$config" run "$url/openapi.json" \
    -u "$url" --phases examples,coverage,fuzzing,stateful \
    --seed "${SEED:-1}" --max-examples "${MAX_EXAMPLES:-50}" --continue-on-failure --warnings off "$@" </dev/null
)

failed=0
printf '\n== with a token: everything is as the document says\n'
attack schemathesis.toml --checks all -H "Authorization: Bearer $token" || failed=1
printf '\n== without a token: 401, whatever is asked\n'
attack schemathesis-anonymous.toml --include-path-regex '^/api/' \
  --checks positive_data_acceptance,negative_data_rejection,content_type_conformance,response_headers_conformance,response_schema_conformance ||
  failed=1
# What is logged as an error is a defect, even if the answer looked good.
if grep -m 20 ERROR "$work/log"; then failed=1; fi
exit "$failed"
