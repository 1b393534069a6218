/* What both sides of SCRAM share. Private to proto/sasl. */
#ifndef PROTO_SASL_SCRAM_INT_H
#define PROTO_SASL_SCRAM_INT_H

#include "proto/sasl/sasl.h"

/* HMAC(key, text) with SHA-256. */
void scram_hmac(const unsigned char key[SCRAM_KEY_BYTES], struct slice text,
        unsigned char out[SCRAM_KEY_BYTES]);
/* H(text). */
void scram_hash(const unsigned char in[SCRAM_KEY_BYTES], unsigned char out[SCRAM_KEY_BYTES]);
/* Hi(Normalize(password), salt, i), RFC 5802 §2.2. ERR_SYNTAX for a password OpaqueString refuses. */
enum err MUST_USE scram_salted_password(struct slice password, struct slice salt,
        unsigned iterations, unsigned char out[SCRAM_KEY_BYTES]);
void scram_xor(unsigned char *a, const unsigned char *b);
/* Same time whatever differs. */
bool scram_key_eq(const unsigned char *a, const unsigned char *b);

/* Takes "k=value" off the front of *rest, which must start with that attribute; the comma after it goes too.
 * *out_more tells whether there was one. */
enum err MUST_USE scram_attr(struct slice *rest, char name, struct slice *out_value,
        bool *out_more);
/* extensions = attr-val *("," attr-val), to the end of rest; they are ignored, but must be well formed (RFC 5802 §5.1). */
enum err MUST_USE scram_extensions(struct slice rest);
/* printable: %x21-2B / %x2D-7E */
bool scram_is_nonce(struct slice nonce);
/* saslname with "=2C" and "=3D" for comma and equals sign, RFC 5802 §5.1. */
void scram_name_write(struct slice name, struct buf *out);
enum err MUST_USE scram_name_parse(struct slice text, struct buf *out);

#endif
