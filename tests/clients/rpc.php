<?php

// Calls RPC methods: php rpc.php ADDRESS CALLS, where CALLS is JSON, a list of [method, argument] or, with another codec
// than JSON, [method, raw argument, codec flag]. Sends all of them first, then prints the answers as JSON in the order
// of the calls: {"result":...} or {"error":...}.

declare(strict_types=1);

require __DIR__ . '/../php/goridge.php';

[, $address, $calls] = $argv;
\putenv("RR_RELAY=$address");
$relay = Relay::connect();
foreach (\json_decode($calls) as $index => $call) {
    [$method, $argument] = $call;
    $codec = $call[2] ?? CODEC_JSON;
    $body = $codec === CODEC_JSON ? \json_encode($argument) : $argument;
    $relay->send($method . $body, [$index + 1, \strlen($method)], $codec);
}
$answers = [];
foreach (\json_decode($calls) as [$method]) {
    [$flags, [$sequence, $length], $payload] = $relay->readFrame() ?? exit('the connection was closed');
    $answer = \substr($payload, $length);
    $answers[$sequence] = $flags & ERROR_FRAME ? ['error' => $answer] : ['result' => \json_decode($answer, true)];
}
\ksort($answers);
echo \json_encode(\array_values($answers), \JSON_PRESERVE_ZERO_FRACTION);
