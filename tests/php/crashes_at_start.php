<?php

// Ends before it connects.

\fwrite(\STDERR, "no database here\nconnection refused\n");
exit(255);
