<?php

declare(strict_types=1);

// What Composer does elsewhere: classes of this package, and Debian's Symfony.
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Fastsmtp\\Testing\\')) {
        require __DIR__ . '/../src/' . substr($class, strlen('Fastsmtp\\Testing\\')) . '.php';
    }
});
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';
require __DIR__ . '/Sends.php';
