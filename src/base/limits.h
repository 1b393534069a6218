/* Every limit that a peer can run into, with its reason. A test goes one over each (CODE §7).
 * Sizes in bytes unless the name says otherwise; times in milliseconds (_ms) or seconds (_s). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* ---- any protocol ---- */
#define LINE_BYTES_MAX_PRELOGIN    8192u             /* a login line with a long SASL token fits; nothing else needs more */
#define SASL_TOKEN_BYTES_MAX       12288u            /* base64 of the longest OAuth token seen */
#define USER_NAME_BYTES_MAX        320u              /* 64 + "@" + 255, RFC 5321 §4.5.3.1 */
#define PASSWORD_BYTES_MAX         1024u             /* argon2id takes any length; this bounds the copy */
#define APP_PASSWORDS_PER_USER_MAX 25u               /* a SCRAM proof is tried with each, and for everybody so often */
#define APP_PASSWORD_NAME_BYTES_MAX 100u             /* what a person calls a device */
#define APP_PASSWORD_NETWORKS_MAX  10u               /* that one may be used from */
#define DEVICE_USES_MAX            16384u            /* logins of different devices that wait to be written; 3 MiB */
#define MESSAGE_BYTES_MAX          (50u << 20)       /* default of message_bytes_max in barid.conf */
#define DEADLINE_PRELOGIN_MS       60000             /* from accept to a finished login */
#define DEADLINE_TLS_MS            30000             /* handshake in all */
#define PAUSE_MS_MAX               (5 * 60 * 1000)   /* longest conn_pause; no delay of a wrong password is longer */
#define DEADLINE_WRITE_MS          60000             /* a client that does not take its answer */
#define BAD_COMMANDS_MAX_PRELOGIN  10u               /* then the connection is dropped */
#define BAD_COMMANDS_MAX           50u
#define COMMAND_ARENA_BYTES_MAX    (64u << 20)       /* memory one command may use besides its bodies */
#define BLOB_MEMORY_BYTES_MAX      (128u << 10)      /* a body up to this is kept in memory and in the database */

/* ---- IMAP ---- */
#define IMAP_LINE_BYTES_MAX        (64u << 10)       /* a command without its literals, after login; sets of 10,000 ranges fit */
#define IMAP_LITERAL_BYTES_MAX     (64u << 10)       /* literal of any command but APPEND */
#define IMAP_LITERALS_MAX          1100u             /* literals in one command; MULTIAPPEND of 1,000 fits */
#define IMAP_FRAME_BYTES_MAX       (1u << 20)        /* all literals of one command but the messages of APPEND */
#define FLAGS_KEPT_BYTES           (64u << 20)       /* of flags, in memory, of all mailboxes: 2.7 million messages */
#define ENTRIES_KEPT_BYTES         (64u << 20)       /* of what POP3 logins ask for, in memory, of all mailboxes */
#define IMAP_TAG_BYTES_MAX         256u
#define IMAP_DEADLINE_IDLE_MS      (30 * 60 * 1000)  /* RFC 3501 §5.4: at least 30 minutes after login */
#define IMAP_SET_RANGES_MAX        10000u            /* ranges in one sequence-set */
#define IMAP_PAREN_DEPTH_MAX       50u               /* SEARCH keys in parentheses, NOT, OR; lists in lists */
#define IMAP_SEARCH_KEYS_MAX       1000u
#define IMAP_SORT_CRITERIA_MAX     20u               /* there are nine, and each is worth saying once */
#define IMAP_FETCH_ITEMS_MAX       200u
#define IMAP_HEADER_FIELDS_MAX     500u              /* names in one HEADER.FIELDS list */
#define IMAP_SECTION_DEPTH_MAX     100u              /* numbers in BODY[1.2.3] */
#define IMAP_FLAGS_MAX             100u              /* flags in one list */
#define IMAP_LIST_PATTERNS_MAX     100u
#define IMAP_REPLY_BYTES_MAX       (4u << 20)        /* client: one answer without the messages in it; 500,000 numbers of SEARCH fit */
#define IMAP_REPLY_DEPTH_MAX       32u               /* client: lists in lists; what we ask for has 4 */

/* ---- mailboxes ---- */
#define MAILBOX_NAME_BYTES_MAX     1000u             /* UTF-8, as it is kept */
#define MAILBOX_WIRE_BYTES_MAX     2500u             /* the longest of them in modified UTF-7: 3 bytes become 7 where "&" follows a letter of two */
#define MAILBOX_LEVELS_MAX         50u
#define MAILBOXES_MAX              20000u            /* in one account; and as many subscriptions */
#define KEYWORD_BYTES_MAX          100u
#define KEYWORDS_MAX               55u               /* in one account: bits 8 to 62 of entry.flags */

#define RESERVE_BYTES_MAX          (64u << 20)       /* free room that new mail leaves, or a twentieth of a small disk */
#define RESERVE_BYTES_MIN          (6u << 20)        /* but this, or a third of a tiny disk: a log of 500 pages that the database is still to take in, and room for flags */
#define RESERVE_FILES_MAX          1000u             /* the same for inodes */
#define DELIVERED_DAYS             30                /* how long an account remembers which deliveries it had */
#define FILED_SAME_S               (5 * 60)          /* a copy of a sent message that a client files within it is the one that is there */
#define GONE_ROWS_MAX              4000u             /* runs of expunged UIDs remembered for one mailbox (QRESYNC) */

/* ---- POP3 ---- */
#define POP_LINE_BYTES_MAX         255u              /* RFC 2449 §4 */
#define POP_DEADLINE_IDLE_MS       (10 * 60 * 1000)  /* RFC 1939 §3: at least 10 minutes */

/* ---- SMTP, submission, LMTP ---- */
#define SMTP_LINE_BYTES_MAX        2048u             /* RFC 5321 §4.5.3.1.4: 512 plus what the extensions add */
#define SMTP_RCPTS_MAX             1000u
#define SMTP_RECEIVED_MAX          100u              /* Received fields before a message counts as looping; RFC 5321 §6.3 */
#define SMTP_DEADLINE_IDLE_MS      (5 * 60 * 1000)   /* RFC 5321 §4.5.3.2.7 */
#define SMTP_HEADER_BYTES_MAX      (1u << 20)        /* whole header section of a message from outside */

/* ---- MIME ---- */
#define MIME_DEPTH_MAX             100u              /* past it the rest is one opaque leaf */
#define MIME_PARTS_MAX             10000u
#define MIME_HEADER_BYTES_MAX      (1u << 20)        /* one field; longer ones are cut */
#define MIME_HEADERS_BYTES_MAX     (10u << 20)       /* all header sections of one message */
#define MIME_PARAMETERS_MAX        1000u             /* per field */
#define MIME_ADDRESSES_MAX         10000u            /* per ENVELOPE */
#define MIME_BOUNDARY_BYTES_MAX    1024u             /* RFC 2046 §5.1.1 has 70; of a longer one the first bytes are compared */
#define MIME_ARENA_BYTES_MAX       (32u << 20)       /* to take one header section apart */
#define FILENAME_BYTES_MAX         200u              /* of a saved attachment; file systems have 255, and a number may be added */
#define FILENAME_EXTENSION_BYTES_MAX 16u             /* kept when a name is cut */
#define THREAD_IDS_MAX             200u              /* of References; of more the oldest one and the newest */
#define THREAD_ID_BYTES_MAX        1000u             /* longer message ids do not thread */
#define SORT_TEXT_BYTES_MAX        512u              /* of a subject or name; of longer ones, in capitals, the rest does not order. 250,000 of them fit into a table */
#define SORT_FIELD_BYTES_MAX       2048u             /* of a field's text that is kept for SEARCH: 40 recipients; messages with longer ones are asked themselves */
#define SORT_TABLE_BYTES_MAX       (128u << 20)      /* what SORT, THREAD and SEARCH keep of one mailbox: some 500,000 messages */
#define SORT_CACHE_BYTES_MAX       (64u << 20)       /* of all mailboxes while nobody asks: a quarter of a million messages */
#define SORT_CACHE_TABLES_MAX      1000u             /* mailboxes */
#define SUMMARY_STRINGS_BYTES_MAX  (3u << 20)        /* what BODYSTRUCTURE says; past it parts are opaque. With ENVELOPE at most 8 MiB */
#define SUMMARY_ENVELOPE_BYTES_MAX (5u << 20)        /* never reached: the limits below keep an ENVELOPE under it, escaped */
#define SUMMARY_FIELDS_BYTES_MAX   (64u << 10)       /* header fields kept; with more the header is read from the message */
#define ENVELOPE_SUBJECT_BYTES_MAX (384u << 10)      /* subjects of 250 kB have been seen; a longer one is cut */
#define ENVELOPE_TEXT_BYTES_MAX    (64u << 10)       /* other single values; From, Sender and Reply-To */
#define ENVELOPE_LIST_BYTES_MAX    (512u << 10)      /* all To fields, all Cc, all Bcc: 10,000 addresses of 50 bytes */
#define SUMMARY_TEXT_BYTES_MAX     8192u             /* one field value for SEARCH and SORT */
#define SAMPLE_PLAIN_BYTES_MAX     4096u             /* start of the text that makes the preview */
#define SAMPLE_HTML_BYTES_MAX      16384u            /* HTML mail begins with long style sheets */

/* ---- looking for servers ---- */
#define SETTINGS_BYTES_MAX         (256u << 10)      /* of a document; the largest of those that providers publish is a tenth of it */
#define SETTINGS_SERVERS_MAX       8u                /* of one document: two for each protocol, and some */
#define XML_DEPTH_MAX              16u               /* autoconfig and Autodiscover have 6 */
#define XML_NODES_MAX              2000u             /* they have some 50 */
#define XML_TEXT_BYTES_MAX         4096u             /* of one element */
#define FETCH_REDIRECTS_MAX        3u                /* to www, to a hoster, and one more */

/* ---- logging in at a provider's page (OAuth 2.0) ---- */
#define OAUTH_TOKEN_BYTES_MAX      (256u << 10)      /* an access or refresh token; real ones have some kilobytes, and no standard has a limit */
#define OAUTH_ANSWER_BYTES_MAX     (1u << 20)        /* of a server: two tokens, an id token, and room to spare */
#define OAUTH_URL_BYTES_MAX        2048u             /* of an endpoint */
#define OAUTH_WORD_BYTES_MAX       8192u             /* client id and secret, device code, the code of a redirect; codes of 2 KB have been seen */
#define OAUTH_USER_CODE_BYTES_MAX  64u               /* somebody types it */
#define OAUTH_SCOPE_BYTES_MAX      2048u
#define OAUTH_REDIRECT_BYTES_MAX   16384u            /* what a browser sends: the longest code, and its cookies for other programs on this machine */

#endif
