<?php

declare(strict_types=1);

/** A fastsmtp for tests, on a free port; it ends with this object. docs/testing.md says more. */
final class MailServer
{
    public readonly string $host;
    public readonly int $port;
    private readonly string $directory;
    private $process;
    private int $saidBefore = 0; // octets of the log that belong to earlier tests

    public function __construct(string $command = 'fastsmtp')
    {
        $this->directory = sys_get_temp_dir() . '/fastsmtp-' . bin2hex(random_bytes(8));
        mkdir($this->directory, 0700);
        $log = ['file', "$this->directory/log", 'a'];
        $this->process = proc_open(
            [$command, 'serve', '--silent', '-w', $this->directory, '--ready-file', 'ready.json',
                '--save', 'mails', '-o', 'smtp.addr=127.0.0.1:0'], // port 0: any that is free
            [['file', '/dev/null', 'r'], $log, $log],
            $pipes,
        );
        while (!is_file("$this->directory/ready.json")) {
            if (!proc_get_status($this->process)['running']) {
                throw new RuntimeException("fastsmtp did not start:\n" . file_get_contents("$this->directory/log"));
            }
            usleep(10_000);
            clearstatcache();
        }
        $ready = json_decode(file_get_contents("$this->directory/ready.json"), true, flags: JSON_THROW_ON_ERROR);
        [$this->host, $port] = explode(':', $ready['listeners']['default'][0]);
        $this->port = (int) $port;
    }

    /** The JSON of each mail, in the order in which they came; see docs/payload.md. */
    public function mails(): array
    {
        return array_map(
            static fn(string $file): array => json_decode(file_get_contents($file), true, flags: JSON_THROW_ON_ERROR),
            glob("$this->directory/mails/*.json"),
        );
    }

    /** What the server printed since clear(): a block for each mail, who connected, what was wrong. */
    public function log(): string
    {
        return file_get_contents("$this->directory/log", offset: $this->saidBefore) ?: "no client connected\n";
    }

    /** Forgets the mails and the log. */
    public function clear(): void
    {
        array_map(unlink(...), glob("$this->directory/mails/*"));
        $this->saidBefore = strlen(file_get_contents("$this->directory/log"));
    }

    public function __destruct()
    {
        proc_terminate($this->process);
        proc_close($this->process); // waits for its end
        $this->clear();
        rmdir("$this->directory/mails");
        unlink("$this->directory/log");
        rmdir($this->directory);
    }
}
