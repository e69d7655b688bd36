<?php
/* Sends one mail with Symfony Mailer through a program. usage: symfony_sendmail.php COMMAND */
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport\SendmailTransport;
use Symfony\Component\Mime\Email;

$email = (new Email())->from('zoe@example.com')->to('bob@example.com')->subject('Symfony')->text("Hello\n");
(new Mailer(new SendmailTransport($argv[1])))->send($email);
