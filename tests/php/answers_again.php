<?php

// Accepts every email. The first of these workers answers its first email twice: with CLOSE when a line arrives in the
// fifo GATE; it makes the directory GATE-sent then, and reads on when another line arrives.

require __DIR__ . '/goridge.php';

function wait_for_line(): void
{
    while (\fgets(\fopen(\getenv('GATE'), 'r')) === false);
}

$relay = Relay::start();
$orderly = !@\mkdir(\getenv('GATE') . '-first');
while ($relay->waitEmail() !== null) {
    $relay->answer('CONTINUE');
    if (!$orderly) {
        $orderly = true;
        wait_for_line();
        $relay->answer('CLOSE');
        \mkdir(\getenv('GATE') . '-sent');
        wait_for_line();
    }
}
