<?php

// Shakes hands and ends.

require __DIR__ . '/goridge.php';

Relay::start();
exit(9);
