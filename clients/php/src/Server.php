<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

/**
 * The mail server of a test run: that at FASTSMTP_URL, or one that `fastsmtp testserver` starts for all its processes.
 */
final class Server
{
    private static ?self $running = null;

    private function __construct(
        public readonly string $url,
        /** Tells whether it goes on when the run is over. */
        public readonly bool $stays,
        /** Where mails of all inboxes are taken, `host:port`; '' where each inbox has a port of its own. */
        private readonly string $smtp,
        private readonly string $prefix,
        /** @var array<int, resource> what keeps it: it ends with these */
        private readonly array $held,
    ) {
    }

    /** Returns the server of this run, found or started the first time. */
    public static function get(): self
    {
        if (self::$running === null) {
            $url = (string) getenv('FASTSMTP_URL');
            $prefix = bin2hex(random_bytes(4));
            self::$running = $url !== ''
                ? new self(rtrim($url, '/'), true, (string) getenv('FASTSMTP_SMTP'), $prefix, [])
                : self::start($prefix);
        }
        return self::$running;
    }

    private static function start(string $prefix): self
    {
        $command = ['fastsmtp', 'testserver'];
        $run = getenv('FASTSMTP_RUN') ?: self::parent();
        if ($run !== '') {
            array_push($command, '--run', $run);
        }
        $process = @proc_open($command, [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes);
        if ($process === false) {
            throw new InboxException('there is no program fastsmtp in PATH; FASTSMTP_URL names a server that runs already');
        }
        $told = json_decode((string) fgets($pipes[1]), true);
        if (!is_array($told)) {
            throw new InboxException('fastsmtp testserver: ' . trim((string) stream_get_contents($pipes[2])));
        }
        return new self($told['url'], false, '', $prefix, [$process, ...$pipes]);
    }

    /** Workers that run side by side, those of ParaTest, have one parent. */
    private static function parent(): string
    {
        return function_exists('posix_getppid') && getenv('PARATEST') !== false ? 'php-' . posix_getppid() : '';
    }

    /**
     * Returns a new inbox, to be closed.
     *
     * @param array<string, mixed> $settings the document of `PUT /api/ns/{ns}`
     */
    public function openInbox(string $name, array $settings = []): Inbox
    {
        $slug = substr(trim(preg_replace('/[^a-z0-9]+/', '-', strtolower($name)), '-'), 0, 40) ?: 'test';
        $unique = "$this->prefix/$slug-" . bin2hex(random_bytes(3));
        return new Inbox($this->url, $unique, $settings + ($this->smtp === '' ? ['listen' => true] : []), $this->smtp);
    }
}
