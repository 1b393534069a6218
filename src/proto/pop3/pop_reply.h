/* What a POP3 server says, taken apart (RFC 1939, RFC 2449, RFC 3206, RFC 5034). Pure: borrows from the line, which comes without its CRLF. */
#ifndef PROTO_POP3_POP_REPLY_H
#define PROTO_POP3_POP_REPLY_H

#include "base/slice.h"

#define POP_UIDL_BYTES_MAX 255u /* RFC 1939 §7 has 70; longer ones are around */

enum pop_status {
    POP_STATUS_OK,
    POP_STATUS_ERR,
    POP_STATUS_CONTINUE, /* "+ " and base64, in AUTH only (RFC 5034 §4) */
};

/* Response codes in the text of -ERR (RFC 2449 §8, RFC 3206). */
enum pop_code {
    POP_CODE_NONE,
    POP_CODE_IN_USE,
    POP_CODE_LOGIN_DELAY,
    POP_CODE_AUTH,
    POP_CODE_SYS_TEMP,
    POP_CODE_SYS_PERM,
    POP_CODE_UTF8, /* RFC 6856 §2.1, §5 */
    POP_CODE_OTHER,
};

struct pop_reply {
    enum pop_status status;
    enum pop_code code;
    struct slice text; /* behind the status and the code; after CONTINUE the base64 */
};

/* ERR_SYNTAX: a line that is no reply. */
enum err MUST_USE pop_parse_reply(struct slice line, struct pop_reply *out_reply);

enum pop_capability {
    POP_CAPABILITY_OTHER,
    POP_CAPABILITY_STLS,
    POP_CAPABILITY_TOP,
    POP_CAPABILITY_UIDL,
    POP_CAPABILITY_USER,
    POP_CAPABILITY_SASL, /* its mechanisms are the words of *out_rest */
    POP_CAPABILITY_PIPELINING,
    POP_CAPABILITY_UTF8,
    POP_CAPABILITY_RESP_CODES,
};

/* One line of CAPA's answer. */
enum pop_capability pop_parse_capability(struct slice line, struct slice *out_rest);

/* "3 1234": a line of LIST. More behind it is passed over (RFC 1939 §5). */
enum err MUST_USE pop_parse_list(struct slice line, uint32_t *out_number, uint64_t *out_bytes);
/* "3 whqtswO00WBw418f9t5JxYwZ": a line of UIDL. ERR_SYNTAX also for ids with other characters than 0x21 to 0x7E, ERR_LIMIT over POP_UIDL_BYTES_MAX; the
 * number is given then too, when there is one, else 0. */
enum err MUST_USE pop_parse_uidl(struct slice line, uint32_t *out_number, struct slice *out_uidl);

#endif
