<?php
/* Sends one mail with Symfony Mailer (Debian's php-symfony-mailer). usage: symfony_mailer.php HOST PORT [tls]
 * With tls: over STARTTLS, and the image is inline. */
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Address;
use Symfony\Component\Mime\Email;

[, $host, $port] = $argv;
$tls = ($argv[3] ?? '') === 'tls';
$png = "\x89PNG\r\n\x1a\n" . str_repeat("\0\1\2\3", 1000);
$options = 'local_domain=client.example.com&verify_peer=0';
$mailer = new Mailer(Transport::fromDsn("smtp://J%C3%BCrgen:geh%C3%ABim@$host:$port?$options"));
$email = (new Email())
    ->from(new Address('zoe@example.com', 'Zoë Müller'))
    ->to(new Address('bob@example.com', 'Bob'), 'carol@example.com')
    ->subject('Grüße aus Köln')
    ->text("Schöne Grüße,\nZoë\n")
    ->html($tls ? '<p>Schöne Grüße</p><img src="cid:pixel.png">' : '<p>Schöne Grüße, <b>Zoë</b></p>')
    ->attach("a;b\n1;2\n", 'Übersicht für März.csv', 'text/csv');
$tls ? $email->embed($png, 'pixel.png', 'image/png') : $email->attach($png, 'pixel.png', 'image/png');
$mailer->send($email);
echo "sent\n";
