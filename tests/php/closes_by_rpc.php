<?php

// Closes the connection of every email by RPC, at the address in RR_RPC, before it takes the email.

require __DIR__ . '/goridge.php';

$relay = Relay::start();
\putenv('RR_RELAY=' . \getenv('RR_RPC'));
$rpc = Relay::connect();
$method = 'smtp.CloseConnection';
while (($context = $relay->waitEmail()) !== null) {
    $uuid = \json_decode($context)->uuid;
    $rpc->send($method . \json_encode($uuid), [1, \strlen($method)], CODEC_JSON);
    [$flags] = $rpc->readFrame();
    $flags & ERROR_FRAME ? $relay->error('it was not closed') : $relay->answer('CONTINUE');
}
