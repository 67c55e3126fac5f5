/*
 * A DTLS 1.2 client with PSK and a Connection ID (RFC 9146) on Mbed TLS, for a test that drives it line by line:
 *
 *   usage: mbedtls PORT IDENTITY KEY [CID]     key and its own Connection ID in hexadecimal
 *   prints: cid HEX, the Connection ID that the server gave it, or `cid none`
 *   reads: HEX, which it sends as one record, and prints the answer in the same way; or `move`, to another local port
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mbedtls/ctr_drbg.h"
#include "mbedtls/entropy.h"
#include "mbedtls/net_sockets.h"
#include "mbedtls/ssl.h"
#include "mbedtls/timing.h"
#include "psa/crypto.h"

static int suites[] = {MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0};

static int failed(const char *what, int code)
{
    fprintf(stderr, "%s: -0x%04x\n", what, (unsigned) -code);
    return 1;
}

static size_t from_hex(const char *text, unsigned char *bytes, size_t most)
{
    size_t length = 0;
    unsigned int byte;
    while (length < most && sscanf(text + 2 * length, "%2x", &byte) == 1) bytes[length++] = (unsigned char) byte;
    return length;
}

static void print_hex(const char *before, const unsigned char *bytes, size_t length)
{
    fputs(before, stdout);
    for (size_t i = 0; i < length; i++) printf("%02x", bytes[i]);
    putchar('\n');
    fflush(stdout);
}

static int open_socket(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *) &to, sizeof to) == 0 ? fd : -1;
}

static int converse(mbedtls_ssl_context *ssl, mbedtls_net_context *net, int port)
{
    static char line[16384];
    static unsigned char bytes[8192];
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "move", 4) == 0) {
            close(net->fd);
            net->fd = open_socket(port);
            continue;
        }
        int code = mbedtls_ssl_write(ssl, bytes, from_hex(line, bytes, sizeof bytes));
        if (code < 0) return failed("write", code);
        do code = mbedtls_ssl_read(ssl, bytes, sizeof bytes);
        while (code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE);
        if (code < 0) return failed("read", code);
        print_hex("", bytes, (size_t) code);
    }
    return mbedtls_ssl_close_notify(ssl) < 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    int port = 0, enabled = 0, code;
    sscanf(argv[1], "%d", &port);
    unsigned char key[64], own[MBEDTLS_SSL_CID_IN_LEN_MAX], theirs[MBEDTLS_SSL_CID_OUT_LEN_MAX];
    size_t key_length = from_hex(argv[3], key, sizeof key), theirs_length = 0;
    size_t own_length = argc > 4 ? from_hex(argv[4], own, sizeof own) : 0;

    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
    mbedtls_net_context net = {.fd = open_socket(port)};
    psa_crypto_init();
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_init(&ssl);
    mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_read_timeout(&config, 5000);
    mbedtls_ssl_conf_psk(&config, key, key_length, (const unsigned char *) argv[2], strlen(argv[2]));
    if ((code = mbedtls_ssl_conf_cid(&config, own_length, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE)) != 0) return failed("cid", code);
    if ((code = mbedtls_ssl_setup(&ssl, &config)) != 0) return failed("setup", code);
    if ((code = mbedtls_ssl_set_cid(&ssl, MBEDTLS_SSL_CID_ENABLED, own, own_length)) != 0) return failed("cid", code);
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
    mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
    while ((code = mbedtls_ssl_handshake(&ssl)) == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE) continue;
    if (code != 0) return failed("handshake", code);
    mbedtls_ssl_get_peer_cid(&ssl, &enabled, theirs, &theirs_length);
    if (enabled == MBEDTLS_SSL_CID_ENABLED) print_hex("cid ", theirs, theirs_length);
    else puts("cid none"), fflush(stdout);
    return converse(&ssl, &net, port);
}
