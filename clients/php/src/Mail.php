<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

/** One mail, read from the inbox when it is asked for. */
final class Mail
{
    public readonly string $uuid;
    /** The reverse-path, '' for `<>`. */
    public readonly string $sender;
    /** @var list<string> the forward-paths */
    public readonly array $recipients;
    public readonly ?string $subject;
    /** The first address of From. */
    public readonly ?string $from;
    /** @var list<string> */
    public readonly array $to;
    /** @var list<string> */
    public readonly array $cc;
    /** @var list<string> */
    public readonly array $replyTo;
    /** Who logged in. */
    public readonly ?string $username;

    /** @param array<string, mixed> $summary what lists have of it */
    public function __construct(private readonly Api $api, public readonly array $summary)
    {
        $addresses = static fn(array $mailboxes): array => array_column($mailboxes, 'address');
        $this->uuid = $summary['uuid'];
        $this->sender = $summary['envelope']['from'];
        $this->recipients = $summary['envelope']['to'];
        $this->subject = $summary['subject'];
        $this->from = $summary['from']['address'] ?? null;
        $this->to = $addresses($summary['to']);
        $this->cc = $addresses($summary['cc']);
        $this->replyTo = $addresses($summary['reply_to']);
        $this->username = $summary['username'];
    }

    /**
     * The JSON that a worker gets; see docs/payload.md.
     *
     * @return array<string, mixed>
     */
    public function payload(): array
    {
        return $this->api->call('GET', "/mails/$this->uuid")['payload'];
    }

    public function text(): ?string
    {
        return $this->payload()['message']['text'];
    }

    public function html(): ?string
    {
        return $this->payload()['message']['html'];
    }

    /** A header field, decoded; its name as it is usually spelled. */
    public function header(string $name): ?string
    {
        return array_change_key_case($this->payload()['message']['headers'])[strtolower($name)] ?? null;
    }

    /** The octets. */
    public function raw(): string
    {
        return $this->api->download("/mails/$this->uuid/raw");
    }

    /** @return list<string> the addresses of links, those of HTML first */
    public function links(): array
    {
        return array_column($this->api->call('GET', "/mails/$this->uuid/links")['links'], 'url');
    }

    /** @return list<string> what looks like a code to be entered, the likeliest first */
    public function codes(): array
    {
        return array_column($this->api->call('GET', "/mails/$this->uuid/codes")['codes'], 'code');
    }

    /** @return array<string, string> the contents of the attachments, by their file names */
    public function attachments(): array
    {
        $found = [];
        foreach ($this->api->call('GET', "/mails/$this->uuid/parts")['parts'] as $part) {
            if ($part['attachment'] !== null) {
                $found[$part['filename']] = $this->api->download("/mails/$this->uuid/parts/{$part['number']}");
            }
        }
        return $found;
    }
}
