<?php

declare(strict_types=1);

namespace Fastsmtp\Testing;

/** Calls the HTTP API of one namespace. */
final class Api
{
    private const LONGEST_WAIT_S = 630;

    public function __construct(private readonly string $url, private readonly string $namespace)
    {
    }

    /**
     * Returns the document of an answer; of 408 and 409, which are about what was waited for, too.
     *
     * @param array<string, mixed>|null $document
     * @return array<string, mixed>
     */
    public function call(string $method, string $path, ?array $document = null): array
    {
        $body = $document === null ? null : json_encode($document ?: new \stdClass(), JSON_THROW_ON_ERROR);
        return $this->send($method, $path, $body, 'application/json');
    }

    /**
     * Sends octets of a type.
     *
     * @return array<string, mixed>
     */
    public function send(string $method, string $path, ?string $body, string $type): array
    {
        [$status, $octets] = $this->request($method, $path, $body, $type);
        $answer = json_decode($octets, true);
        if (!is_array($answer) || ($status >= 300 && $status !== 408 && $status !== 409)) {
            throw new InboxException(trim(($answer['pointer'] ?? '') . ' ' . ($answer['detail'] ?? "status $status")));
        }
        return $answer + ['status' => $status];
    }

    /** Returns the octets of an answer. */
    public function download(string $path): string
    {
        [$status, $octets] = $this->request('GET', $path, null, '');
        if ($status !== 200) {
            throw new InboxException("the inbox answered $path with $status");
        }
        return $octets;
    }

    /** @return array{int, string} */
    private function request(string $method, string $path, ?string $body, string $type): array
    {
        $parts = parse_url($this->url);
        $login = isset($parts['user'])
            ? ['Authorization: Basic ' . base64_encode(urldecode($parts['user']) . ':' . urldecode($parts['pass'] ?? ''))]
            : [];
        $port = isset($parts['port']) ? ":{$parts['port']}" : '';
        $base = "{$parts['scheme']}://{$parts['host']}$port" . ($parts['path'] ?? '');
        $headers = ['Accept: application/json', 'Connection: close', ...$login];
        if ($body !== null) {
            $headers[] = "Content-Type: $type";
        }
        $http = ['method' => $method, 'header' => $headers, 'content' => (string) $body, 'ignore_errors' => true,
            'timeout' => self::LONGEST_WAIT_S, 'protocol_version' => 1.1];
        $octets = @file_get_contents("$base/api/ns/$this->namespace$path", false, stream_context_create(['http' => $http]));
        if ($octets === false || !isset($http_response_header[0])) {
            throw new InboxException("no inbox answers at $base");
        }
        return [(int) explode(' ', $http_response_header[0])[1], $octets];
    }
}
