<?php

// Sends a mail with PHP's mail(). usage: php -d sendmail_path=... mail.php

$headers = ['From' => 'Shop <shop@example.com>', 'Cc' => 'carol@example.com', 'Bcc' => 'hidden@example.com'];
$sent = \mail('Ada <ada@example.com>, bob@example.com', 'Grüße', "Hello\n.\nWorld\n", $headers, '-fbounce@example.com');
exit($sent ? 0 : 1);
