<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

/** The inbox did not do what it was asked. */
final class InboxException extends \RuntimeException
{
}
