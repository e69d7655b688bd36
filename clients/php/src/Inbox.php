<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

/**
 * The inbox of one test, until `close()`. Waits are the server's: nothing polls, and nothing is missed.
 *
 * Conditions are those of docs/inbox.md: `['to' => 'x@example.com', 'subject' => 'Welcome*', 'header.X-Batch' => '7']`.
 */
final class Inbox
{
    /** Where an application sends its mails. */
    public readonly string $host;
    public readonly int $port;
    /** The login that tells its mails apart where it has no port of its own. */
    public readonly string $username;
    /** A recipient whose mails come here. */
    public readonly string $address;
    /** The page that shows the inbox. */
    public readonly string $page;
    private readonly Api $api;
    private readonly bool $ownPort;

    /**
     * Makes it.
     *
     * @param array<string, mixed> $settings
     */
    public function __construct(string $url, public readonly string $name, array $settings, string $smtp)
    {
        $this->api = new Api($url, $name);
        $made = $this->api->call('PUT', '', $settings);
        $colon = strrpos($smtp, ':');
        $this->host = $smtp === '' ? $made['smtp']['host'] : substr($smtp, 0, (int) $colon);
        $this->port = $smtp === '' ? $made['smtp']['port'] : (int) substr($smtp, $colon + 1);
        $this->username = $made['smtp']['username'] ?? $name;
        $this->address = $made['address'];
        $this->page = $made['urls']['page'];
        $this->ownPort = $smtp === '';
    }

    /** The DSN of Symfony's mailer, for MAILER_DSN. */
    public function symfonyDsn(): string
    {
        $login = $this->ownPort ? '' : rawurlencode($this->username) . ':any@';
        return "smtp://$login$this->host:$this->port?auto_tls=false";
    }

    /**
     * The variables of Laravel's `.env`.
     *
     * @return array<string, string>
     */
    public function laravelEnv(): array
    {
        return [
            'MAIL_MAILER' => 'smtp',
            'MAIL_HOST' => $this->host,
            'MAIL_PORT' => (string) $this->port,
            'MAIL_USERNAME' => $this->ownPort ? '' : $this->username,
            'MAIL_PASSWORD' => $this->ownPort ? '' : 'any',
        ];
    }

    /** @return list<Mail> what came so far, the oldest first; at most 1000 */
    public function mails(): array
    {
        return $this->mailsOf($this->api->call('GET', '/mails?order=asc&limit=1000')['mails']);
    }

    /** The place behind the newest mail, for `after`. */
    public function cursor(): string
    {
        return $this->api->call('GET', '/cursor')['cursor'];
    }

    /** @return array<string, mixed> what became of every mail */
    public function ledger(): array
    {
        return $this->api->call('GET', '/ledger');
    }

    /**
     * Returns the mails that meet the condition, once there are so many.
     *
     * @param array<string, mixed> $where
     * @return list<Mail>
     */
    public function wait(int $count = 1, array $where = [], string $within = '10s', string $after = ''): array
    {
        $document = ['count' => $count, 'where' => (object) $where, 'timeout' => $within, 'limit' => 1000];
        return $this->mailsOf($this->await('wait', $document, $after)['mails']);
    }

    /**
     * Returns the one mail that meets the condition, once it is there and no second one comes.
     *
     * @param array<string, mixed> $where
     */
    public function waitOne(array $where = [], string $within = '10s', string $after = ''): Mail
    {
        $document = ['exactly' => 1, 'where' => (object) $where, 'timeout' => $within];
        return $this->mailsOf($this->await('wait', $document, $after)['mails'])[0];
    }

    /**
     * Returns the report once all items hold.
     *
     * @param list<array<string, mixed>> $items
     * @param 'allow'|'forbid' $rest
     * @return array<string, mixed>
     */
    public function expect(array $items, string $within = '5s', string $rest = 'allow', string $after = ''): array
    {
        $asked = array_map(static fn(array $item): array => ['where' => (object) ($item['where'] ?? [])] + $item, $items);
        return $this->await('expect', ['expect' => $asked, 'within' => $within, 'rest' => $rest], $after);
    }

    /**
     * So many mails, or so many for each recipient, and no others.
     *
     * @param int|array<string, int> $wanted
     * @param array<string, mixed> $where
     */
    public function exactly(int|array $wanted, array $where = [], string $within = '5s'): void
    {
        if (is_int($wanted)) {
            $this->expect([['where' => $where, 'exactly' => $wanted]], $within);
            return;
        }
        $items = [];
        foreach ($wanted as $to => $count) {
            $items[] = ['where' => ['rcpt' => $to] + $where, 'exactly' => $count];
        }
        $others = ['not' => ['rcpt' => array_keys($wanted)]] + $where;
        $this->expect([...$items, ['name' => 'to others', 'where' => $others, 'none' => true]], $within);
    }

    /**
     * Watches for so long that no such mail comes.
     *
     * @param array<string, mixed> $where
     */
    public function none(array $where = [], string $within = '1s'): void
    {
        $this->expect([['where' => $where, 'none' => true, 'for' => $within]], $within);
    }

    /**
     * Returns the one mail, once it is there and as the file has it, apart from what differs each time.
     *
     * With FASTSMTP_GOLDEN=write the file is written.
     *
     * @param array<string, mixed> $where
     */
    public function expectLike(string $golden, array $where = [], string $within = '10s'): Mail
    {
        $mail = $this->waitOne($where, $within);
        if (getenv('FASTSMTP_GOLDEN') === 'write') {
            is_dir(dirname($golden)) || mkdir(dirname($golden), recursive: true);
            file_put_contents($golden, $mail->raw());
        } elseif (!is_file($golden)) {
            throw new NotAsExpected("there is no file $golden; FASTSMTP_GOLDEN=write writes it\n$this->page");
        } else {
            $octets = file_get_contents($golden);
            $lines = $this->api->send('POST', "/mails/$mail->uuid/diff", $octets, 'message/rfc822')['lines'];
            if ($lines !== []) {
                $text = implode("\n", ["the mail is not like $golden (- expected, + got):", ...$lines]);
                throw new NotAsExpected("$text\n$this->page");
            }
        }
        return $mail;
    }

    /**
     * Has the server do what the plan says, in this inbox.
     *
     * @param array<mixed> $plan
     */
    public function faults(array $plan): void
    {
        $this->api->call('PUT', '/faults', $plan);
    }

    /** What is in it, for the report of a test that failed. */
    public function summary(): string
    {
        $lines = array_map(
            static fn(array $mail): string => sprintf(
                '#%d %s %s -> %s: %s',
                $mail['seq'],
                substr($mail['received_at'], 11, 12),
                $mail['envelope']['from'] ?: '<>',
                implode(', ', array_slice($mail['envelope']['to'], 0, 3)),
                $mail['subject'] === null ? '(no subject)' : "\"{$mail['subject']}\"",
            ),
            $this->api->call('GET', '/mails?order=asc&limit=20&outcome=any')['mails'],
        );
        return implode("\n", [...($lines ?: ['no mail came']), $this->page]);
    }

    /** Deletes it with all it holds. May be called twice. */
    public function close(): void
    {
        try {
            $this->api->call('DELETE', '');
        } catch (InboxException) {
            // It is gone already.
        }
    }

    /**
     * @param array<string, mixed> $document
     * @return array<string, mixed>
     */
    private function await(string $what, array $document, string $after): array
    {
        $answer = $this->api->call('POST', "/$what", $document + ($after === '' ? [] : ['after' => $after]));
        if ($answer['status'] !== 200) {
            throw new NotAsExpected(rtrim($answer['detail']) . "\n$this->page");
        }
        return $answer;
    }

    /**
     * @param list<array<string, mixed>> $summaries
     * @return list<Mail>
     */
    private function mailsOf(array $summaries): array
    {
        return array_map(fn(array $summary): Mail => new Mail($this->api, $summary), $summaries);
    }
}
