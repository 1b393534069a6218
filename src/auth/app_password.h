/* App passwords as text: made at random, so a fast hash guards them. Private to auth.
 *
 * One has 16 characters of an alphabet of 32 in which nothing looks like something else (no 0, o, 1, l): 80 bits. It is shown in small letters in
 * four groups with dashes; blanks, dashes and case do not matter where the server sees what was typed. With SCRAM the server sees
 * a proof only: there both spellings that people copy are good, with the dashes as shown and without them. */
#ifndef AUTH_APP_PASSWORD_H
#define AUTH_APP_PASSWORD_H

#include "auth/device.h"
#include "proto/sasl/sasl.h"

#define APP_PASSWORD_CHARS      16u
#define APP_PASSWORD_HASH_BYTES 32u
#define APP_PASSWORD_SPELLINGS  2u /* that SCRAM takes */

/* out has APP_PASSWORD_TEXT_BYTES + 1 bytes. */
void app_password_make(char *out);
/* The characters alone, in APP_PASSWORD_CHARS + 1 bytes. False when the text cannot be an app password. */
bool app_password_canonical(struct slice text, char *out);
/* The hash that is stored, of the canonical form. The salt is the user's. */
void app_password_hash(const unsigned char salt[SCRAM_SALT_BYTES], const char *canonical,
    unsigned char out[APP_PASSWORD_HASH_BYTES]);
/* For SCRAM, of the text as app_password_make made it. */
enum err MUST_USE app_password_keys(const struct scram_secret *salted, const char *text,
    struct scram_keys out[APP_PASSWORD_SPELLINGS]);

#endif
