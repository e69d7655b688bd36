<?php

// Declares metrics by RPC when it starts, and changes them with every email, in the calls of spiral/roadrunner-metrics.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
\putenv('RR_RELAY=' . \getenv('RR_RPC'));
$rpc = Relay::connect();

/** Calls a method and waits for its answer; an error ends the worker. */
function call(Relay $rpc, string $method, mixed $argument): void
{
    $rpc->send($method . \json_encode($argument, \JSON_PRESERVE_ZERO_FRACTION), [1, \strlen($method)], CODEC_JSON);
    [$flags, [, $length], $payload] = $rpc->readFrame();
    $flags & ERROR_FRAME and exit(\substr($payload, $length));
}

function declare_metric(Relay $rpc, string $name, string $type, array $labels = [], array $buckets = []): void
{
    $collector = ['namespace' => 'app', 'subsystem' => '', 'type' => $type, 'help' => '', 'labels' => $labels];
    call($rpc, 'metrics.Declare', ['name' => $name, 'collector' => $collector + ['buckets' => $buckets]]);
}

declare_metric($rpc, 'mails', 'counter', ['subject']);
declare_metric($rpc, 'size', 'histogram', [], [10.0, 1000.0]);
declare_metric($rpc, 'open', 'gauge');

while (($context = $relay->waitEmail()) !== null) {
    $message = \json_decode($context)->message;
    call($rpc, 'metrics.Add', ['name' => 'mails', 'value' => 1.0, 'labels' => [$message->subject]]);
    call($rpc, 'metrics.Observe', ['name' => 'size', 'value' => (float) $message->size, 'labels' => []]);
    call($rpc, 'metrics.Add', ['name' => 'open', 'value' => 2.0, 'labels' => []]);
    call($rpc, 'metrics.Sub', ['name' => 'open', 'value' => 1.0, 'labels' => []]);
    call($rpc, 'metrics.Add', ['name' => 'configured_total', 'value' => 0.5, 'labels' => ['x']]);
    $relay->answer('CONTINUE');
}
