<?php

// Runs, but never shakes hands.

while (true) {
    \sleep(1000);
}
