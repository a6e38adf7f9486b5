# Comes before the `prepare` of each virtual host: another WordPress, made on the running host.
set -eu
here=/usr/local/lib/testbed

# new_site DOCROOT PREFIX HOME: as the build of the image makes its sites
new_site() {
    cp -rL /usr/share/wordpress "$1"
    rm -rf "$1/wp-config.php" "$1/wp-content"
    cp -rL /usr/share/wordpress/wp-content "$1/wp-content"
    rm -rf "$1/wp-content/languages"
    mkdir -p "$1/wp-content/uploads"
    sed -e "s|@PREFIX@|$2|; s|@HOME@|$3|" "$here/wp-config.php" > "$1/wp-config.php"
    chmod 640 "$1/wp-config.php"
    chown -R www-data:www-data "$1"
    as_www php "$here/install.php" install "$1" "$3"
}

as_www() {
    setpriv --reuid=www-data --regid=www-data --clear-groups "$@"
}

# permalinks DOCROOT PATH: what WordPress writes into .htaccess
permalinks() {
    cat > "$1/.htaccess" <<END
RewriteEngine On
RewriteBase $2
RewriteRule ^index\.php\$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . ${2}index.php [L]
END
    chown www-data:www-data "$1/.htaccess"
}

# network DOCROOT HOST SUBDOMAINS(true|false): makes a WordPress a network and opens a shop in it
network() {
    cat > /tmp/network.php <<'END'
<?php
list( , $step, $docroot, $host, $subdomains ) = $argv;
$_SERVER['HTTP_HOST']   = $host;
$_SERVER['REQUEST_URI'] = '/';
if ( 'make' === $step ) {
	define( 'WP_INSTALLING_NETWORK', true );
}
require $docroot . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
if ( 'make' === $step ) {
	foreach ( $wpdb->tables( 'ms_global' ) as $table => $name ) {
		$wpdb->$table = $name;
	}
	install_network();
	populate_network( 1, $host, 'alice@blog.example', 'Test network', '/', 'true' === $subdomains );
} else {
	$shop = 'true' === $subdomains ? array( 'shop.' . $host, '/' ) : array( $host, '/shop/' );
	$made = wpmu_create_blog( $shop[0], $shop[1], 'Shop', 1 );
	if ( is_wp_error( $made ) ) {
		fwrite( STDERR, $made->get_error_message() . "\n" );
		exit( 1 );
	}
}
END
    as_www php /tmp/network.php make "$1" "$2" "$3"
    sed -i "/^\$table_prefix/i define( 'MULTISITE', true );\\
define( 'SUBDOMAIN_INSTALL', $3 );\\
define( 'DOMAIN_CURRENT_SITE', '$2' );\\
define( 'PATH_CURRENT_SITE', '/' );\\
define( 'SITE_ID_CURRENT_SITE', 1 );\\
define( 'BLOG_ID_CURRENT_SITE', 1 );\\
" "$1/wp-config.php"
    as_www php /tmp/network.php shop "$1" "$2" "$3"
    rm /tmp/network.php
}
