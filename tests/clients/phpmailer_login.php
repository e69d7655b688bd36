<?php
/* Sends one mail with PHPMailer, without choosing a mechanism. usage: phpmailer_login.php HOST PORT USER PASSWORD */
require '/usr/share/php/libphp-phpmailer/autoload.php';

$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->isSMTP();
$mail->SMTPAuth = true;
[, $mail->Host, $mail->Port, $mail->Username, $mail->Password] = $argv;
$mail->setFrom('zoe@example.com');
$mail->addAddress('bob@example.com');
$mail->Subject = 'Login';
$mail->Body = 'It works.';
$mail->send();
