#!/usr/bin/env bash
# Kafka's tools under the names they have in its distribution.
set -euo pipefail
run() { exec java ${KAFKA_HEAP_OPTS:--Xmx256m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' "$@"; }
case $(basename "$0" .sh) in
  kafka-topics) run org.apache.kafka.tools.TopicCommand "$@" ;;
  kafka-console-consumer) run org.apache.kafka.tools.consumer.ConsoleConsumer "$@" ;;
  kafka-console-producer) run org.apache.kafka.tools.ConsoleProducer "$@" ;;
  kafka-broker-api-versions) run org.apache.kafka.tools.BrokerApiVersionsCommand "$@" ;;
  kafka-get-offsets) run org.apache.kafka.tools.GetOffsetShell "$@" ;;
  *) run "$@" ;;
esac
