/* A self-signed P-256 certificate, for the demo and for the first start of a server. */
#include "net/tls.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "base/slice.h"
#include "net/tls_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES_MAX 253 /* RFC 1035 §2.3.4, without the root's dot */

/* A-labels, wildcards and addresses; nothing that the syntax of X509V3_EXT_conf gives a meaning. */
static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_BYTES_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*:") ==
               len;
}

static bool is_address(const char *name)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    unsigned char serial[16];
    rand_bytes(serial, sizeof serial);
    serial[0] &= 0x7f; /* positive, RFC 5280 §4.1.2.2 */
    serial[0] |= 0x40;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok;
}

static X509 *certificate_new(EVP_PKEY *key, const char *const *names, int days)
{
    struct buf alternatives;
    buf_init(&alternatives, 0);
    for (size_t i = 0; names[i]; i++)
        buf_addf(
            &alternatives, "%s%s:%s", i ? "," : "", is_address(names[i]) ? "IP" : "DNS", names[i]);
    buf_addc(&alternatives, '\0');

    X509 *certificate = X509_new();
    X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;
    /* commonName has at most 64 characters (RFC 5280 appendix A.1); clients look at the alternatives only. */
    const char *common = strlen(names[0]) <= 64 ? names[0] : "barid";
    bool ok = certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
              set_serial(certificate) &&
              /* An hour back, for clients whose clock is a little slow. */
              X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
              X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL) &&
              X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                  (const unsigned char *)common, -1, -1, 0) == 1 &&
              X509_set_issuer_name(certificate, name) == 1 &&
              X509_set_pubkey(certificate, key) == 1 &&
              add_extension(certificate, NID_subject_alt_name, alternatives.mem) &&
              add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
              add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
              add_extension(certificate, NID_subject_key_identifier, "hash") &&
              X509_sign(certificate, key, EVP_sha256()) > 0;
    buf_done(&alternatives);
    if (!ok) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

/* Never replaces a file, never leaves half of one. */
static enum err write_new(const char *path, mode_t mode, BIO *pem, struct err_note *note)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(pem, &bytes);
    assert(len > 0);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST)
        return err_noted(note, ERR_EXISTS, "%s exists already and was left alone", path);
    if (fd < 0)
        return err_noted(note, err_from_errno(errno), "cannot write %s: %s", path, strerror(errno));
    if (fchmod(fd, mode) < 0 || write(fd, bytes, (size_t)len) != len || fsync(fd) < 0) {
        int e = errno;
        unlink(path);
        return err_noted(note, err_from_errno(e), "cannot write %s: %s", path, strerror(e));
    }
    return ERR_OK;
}

static enum err write_both(EVP_PKEY *key, X509 *certificate, const char *cert_file,
    const char *key_file, struct err_note *note)
{
    BIO *key_pem = BIO_new(BIO_s_secmem());
    BIO *cert_pem = BIO_new(BIO_s_mem());
    enum err e = ERR_IO;
    if (!key_pem || !cert_pem ||
        PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_X509(cert_pem, certificate) != 1) {
        char text[128];
        (void)err_noted(note, e, "OpenSSL: %s", tls_error_text(text, sizeof text));
        goto out;
    }
    e = write_new(key_file, 0600, key_pem, note);
    if (e != ERR_OK)
        goto out;
    e = write_new(cert_file, 0644, cert_pem, note);
    if (e != ERR_OK)
        unlink(key_file);
out:
    BIO_free(key_pem);
    BIO_free(cert_pem);
    return e;
}

enum err tls_make_self_signed(const char *const *names, int days, const char *cert_file,
    const char *key_file, struct err_note *note)
{
    if (!names || !names[0])
        return err_noted(note, ERR_SYNTAX, "a certificate needs a name");
    if (days < 1 || days > 36500)
        return err_noted(
            note, ERR_LIMIT, "%d days is no time for a certificate (1 to 36500)", days);
    for (size_t i = 0; names[i]; i++)
        if (!name_ok(names[i]))
            return err_noted(note, ERR_SYNTAX,
                "\"%.100s\" is no host name in ASCII form and no IP address", names[i]);
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? certificate_new(key, names, days) : NULL;
    enum err e;
    if (!certificate) {
        char text[128];
        e = err_noted(note, ERR_SYNTAX, "no certificate can be made for these names: %s",
            tls_error_text(text, sizeof text));
    } else {
        e = write_both(key, certificate, cert_file, key_file, note);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return e;
}
