#!/usr/bin/env bash
# What of the official image this project relies on: KAFKA_… variables become properties, CLUSTER_ID,
# and a storage that is formatted on the first start.
set -euo pipefail
if [ "${1-}" != /etc/kafka/docker/run ]; then exec "$@"; fi
config=/opt/kafka/config
properties=$config/server.properties
# As the official image reads the names: _ is a dot, __ an underscore, ___ a hyphen.
env -0 | while IFS='=' read -r -d '' name value; do
  case $name in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS) continue ;;
    KAFKA_*) ;;
    *) continue ;;
  esac
  key=${name#KAFKA_}
  key=${key//___/-}
  key=${key//__/$'\1'}
  key=${key//_/.}
  key=${key//$'\1'/_}
  printf '%s=%s\n' "${key,,}" "$value"
done >"$properties"
run=/opt/kafka/bin/kafka.sh
"$run" kafka.tools.StorageTool format --ignore-formatted --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" --config "$properties"
exec "$run" kafka.Kafka "$properties"
