<?php
/* Sends one mail with Symfony Mailer, by a DSN alone. usage: symfony_login.php HOST PORT USER PASSWORD */
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Email;

[, $host, $port, $user, $password] = $argv;
$mailer = new Mailer(Transport::fromDsn("smtp://$user:" . rawurlencode($password) . "@$host:$port"));
$mailer->send((new Email())->from('zoe@example.com')->to('bob@example.com')->subject('Login')->text('It works.'));
