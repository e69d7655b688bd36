<?php

// How long json_decode takes for each of the files, in microseconds of user CPU: of 100 rounds, in which they take turns,
// the fastest. For bench_omit.py.

declare(strict_types=1);

const ROUNDS = 100;
const TIMES = 300;

$files = \array_slice($argv, 1);
$texts = \array_map('file_get_contents', $files);
$fastest = \array_fill(0, \count($texts), \INF);

function user_us(): float
{
    $usage = \getrusage();
    return 1e6 * $usage['ru_utime.tv_sec'] + $usage['ru_utime.tv_usec'];
}

for ($round = 0; $round < ROUNDS; ++$round) {
    foreach ($texts as $index => $text) {
        $began = user_us();
        for ($time = 0; $time < TIMES; ++$time) {
            \json_decode($text, true, flags: \JSON_THROW_ON_ERROR);
        }
        $fastest[$index] = \min($fastest[$index], (user_us() - $began) / TIMES);
    }
}
echo \json_encode($fastest);
