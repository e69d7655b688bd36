<?php

// Goridge v1 frames for the test workers: the relay of RR_RELAY, frames in and out, no Composer.

declare(strict_types=1);

const CONTROL = 0x01;
const CODEC_JSON = 0x08;
const ERROR_FRAME = 0x40;

final class Relay
{
    private function __construct(private $in, private $out)
    {
    }

    /** Connects as RR_RELAY says. */
    public static function connect(): self
    {
        $relay = (string) \getenv('RR_RELAY');
        if ($relay === 'pipes') {
            return new self(\STDIN, \STDOUT);
        }
        $socket = \stream_socket_client($relay, $code, $message, 10) or exit("cannot connect to $relay: $message");
        return new self($socket, $socket);
    }

    /** Connects and answers the handshake. */
    public static function start(): self
    {
        $relay = self::connect();
        $relay->shakeHands(\getmypid());
        return $relay;
    }

    public function shakeHands(int $pid): void
    {
        $this->readFrame() ?? exit(0);
        $this->send(\json_encode(['pid' => $pid]), [], CONTROL);
    }

    /** Returns [flags, options, payload], null at the end of the stream. */
    public function readFrame(): ?array
    {
        $header = $this->read(12);
        if ($header === null) {
            return null;
        }
        $words = \ord($header[0]) & 0x0F;
        $length = \unpack('V', $header, 2)[1];
        $options = $words > 3 ? \array_values(\unpack('V*', $this->read(($words - 3) * 4))) : [];
        return [\ord($header[1]), $options, $length > 0 ? $this->read($length) : ''];
    }

    /** Returns the context of the next email; null when asked to stop or at the end of the stream. */
    public function waitEmail(): ?string
    {
        $frame = $this->readFrame();
        if ($frame === null) {
            return null;
        }
        [$flags, $options, $payload] = $frame;
        return $flags & CONTROL ? null : \substr($payload, 0, $options[0]);
    }

    public function answer(string $context, string $body = ''): void
    {
        $this->send($context . $body, [\strlen($context)]);
    }

    public function error(string $text): void
    {
        $this->send($text, [], ERROR_FRAME);
    }

    public function send(string $payload, array $options = [], int $flags = 0): void
    {
        $this->write(self::header(\strlen($payload), $options, $flags) . $payload);
    }

    public static function header(int $length, array $options = [], int $flags = 0, int $crc_fault = 0): string
    {
        $checked = \pack('CCV', 1 << 4 | (3 + \count($options)), $flags, $length);
        return $checked . \pack('VCCV*', \crc32($checked) ^ $crc_fault, 0, 0, ...$options);
    }

    public function write(string $bytes): void
    {
        while ($bytes !== '') {
            $written = @\fwrite($this->out, $bytes);
            if ($written === false || $written === 0) {
                exit(1);
            }
            $bytes = \substr($bytes, $written);
        }
    }

    public function close(): void
    {
        \fclose($this->out);
    }

    /** Closes the side that reads; what is still sent to us meets an error. */
    public function stopReading(): void
    {
        $this->in === $this->out ? \stream_socket_shutdown($this->in, \STREAM_SHUT_RD) : \fclose($this->in);
    }

    /** Reads so many bytes of a frame and leaves the rest of it unread. */
    public function peek(int $length): ?string
    {
        \stream_set_read_buffer($this->in, 0);
        return $this->read($length);
    }

    private function read(int $length): ?string
    {
        $bytes = '';
        while (\strlen($bytes) < $length) {
            $chunk = \fread($this->in, $length - \strlen($bytes));
            if ($chunk === false || $chunk === '') {
                return null;
            }
            $bytes .= $chunk;
        }
        return $bytes;
    }
}
