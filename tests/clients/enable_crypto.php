<?php
/* Sends one mail over PHP's own sockets, with STARTTLS. usage: enable_crypto.php HOST PORT */
[, $host, $port] = $argv;
$context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
$socket = stream_socket_client("tcp://$host:$port", $code, $error, 10, STREAM_CLIENT_CONNECT, $context)
    or exit("cannot connect: $error\n");

function ask(string $command, string $wanted): void
{
    global $socket;
    if ($command !== '') {
        fwrite($socket, "$command\r\n");
    }
    do {
        $line = (string) fgets($socket);
    } while (($line[3] ?? '') === '-');
    str_starts_with($line, $wanted) or exit("$command: $line");
}

ask('', '220 ');
ask('EHLO client.example.com', '250 ');
ask('STARTTLS', '220 ');
stream_socket_enable_crypto($socket, true, STREAM_CRYPTO_METHOD_TLS_CLIENT) or exit("no TLS\n");
ask('EHLO client.example.com', '250 ');
ask('MAIL FROM:<zoe@example.com>', '250 ');
ask('RCPT TO:<bob@example.com>', '250 ');
ask('DATA', '354 ');
ask("Subject: crypto\r\n\r\nHello\r\n.", '250 ');
ask('QUIT', '221 ');
echo "sent\n";
