<?php
/* Sends one mail with PHPMailer (Debian's libphp-phpmailer). usage: phpmailer.php HOST PORT [tls]
 * With tls: over STARTTLS, as HTML with an inline image. */
require '/usr/share/php/libphp-phpmailer/autoload.php';

$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->isSMTP();
[, $mail->Host, $mail->Port] = $argv;
$mail->SMTPAuth = true;
$mail->SMTPAutoTLS = false;
$mail->AuthType = 'LOGIN';
$mail->Username = 'jürgen';
$mail->Password = 'gehëim';
$mail->CharSet = 'utf-8';
$mail->Hostname = 'client.example.com';
$mail->setFrom('zoe@example.com', 'Zoë Müller');
$mail->addAddress('bob@example.com', 'Bob');
$mail->addAddress('carol@example.com');
$mail->Subject = 'Grüße aus Köln';
$mail->Body = "Schöne Grüße,\nZoë\n";
$mail->addStringAttachment("a;b\n1;2\n", 'Übersicht für März.csv', 'base64', 'text/csv');
$png = "\x89PNG\r\n\x1a\n" . str_repeat("\0\1\2\3", 1000);
$mail->addStringAttachment($png, 'pixel.png', 'base64', 'image/png');
if (($argv[3] ?? '') === 'tls') {
    $mail->SMTPSecure = 'tls';
    $mail->SMTPOptions = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
    $mail->isHTML();
    $mail->AltBody = $mail->Body;
    $mail->Body = '<p>Schöne Grüße</p><img src="cid:pixel@example.com">';
    $mail->clearAttachments();
    $mail->addStringEmbeddedImage($png, 'pixel@example.com', 'pixel.png', 'base64', 'image/png');
    $mail->addStringAttachment("a;b\n1;2\n", 'Übersicht für März.csv', 'base64', 'text/csv');
}
$mail->send();
echo "sent\n";
