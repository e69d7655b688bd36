<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

use PHPUnit\Framework\AssertionFailedError;

/** Mails are not as a test expects: PHPUnit counts a failure and shows the server's report, unchanged. */
final class NotAsExpected extends AssertionFailedError
{
}
