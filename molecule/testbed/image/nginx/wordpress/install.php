<?php
// install.php list                  prints the sites of site.json: docroot, table prefix, home
// install.php install DOCROOT HOME  installs one of them, with the users and posts of site.json

$data = json_decode( file_get_contents( __DIR__ . '/site.json' ), true );

if ( 'list' === $argv[1] ) {
	foreach ( $data['sites'] as $site ) {
		echo implode( ' ', array( $site['docroot'], $site['prefix'], $site['home'] ) ), "\n";
	}
	exit( 0 );
}

list( , , $docroot, $home ) = $argv;

$_SERVER['HTTP_HOST']       = parse_url( $home, PHP_URL_HOST );
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD']  = 'GET';
$_SERVER['REQUEST_URI']     = '/';
$_SERVER['PHP_SELF']        = '/wp-admin/install.php';
define( 'WP_INSTALLING', true );
define( 'WP_SITEURL', $home );

// Pluggable: WordPress would mail the administrator.
function wp_new_blog_notification( $title, $url, $user_id, $password ) {}

require $docroot . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

function fail_on_error( $result ) {
	if ( is_wp_error( $result ) ) {
		fwrite( STDERR, $result->get_error_message() . "\n" );
		exit( 1 );
	}
	return $result;
}

$admin = $data['users'][0];
wp_install( $data['title'], $admin['login'], $admin['email'], true, '', $admin['password'] );
update_option( 'home', $home );
update_option( 'siteurl', $home );
wp_delete_post( 1, true );

foreach ( $data['users'] as $user ) {
	$id = username_exists( $user['login'] );
	if ( ! $id ) {
		$id = fail_on_error( wp_create_user( $user['login'], $user['password'], $user['email'] ) );
	}
	$fields = array(
		'ID'   => $id,
		'role' => $user['role'],
	);
	if ( isset( $user['display_name'] ) ) {
		$fields['display_name'] = $user['display_name'];
	}
	fail_on_error( wp_update_user( $fields ) );
	if ( isset( $user['post'] ) ) {
		$post = fail_on_error(
			wp_insert_post(
				array(
					'post_author'  => $id,
					'post_name'    => $user['post'],
					'post_title'   => ucfirst( $user['post'] ),
					'post_content' => 'Post ' . $user['post'] . ' of the test site.',
					'post_status'  => 'publish',
				),
				true
			)
		);
	}
	if ( ! empty( $user['comments'] ) ) {
		$person = get_userdata( $id );
		wp_insert_comment(
			array(
				'comment_post_ID'      => $post,
				'user_id'              => $id,
				'comment_author'       => $person->display_name,
				'comment_author_email' => $person->user_email,
				'comment_content'      => 'A comment of the post\'s author.',
				'comment_approved'     => 1,
			)
		);
	}
	if ( isset( $user['application_password'] ) ) {
		fail_on_error( WP_Application_Passwords::create_new_application_password( $id, array( 'name' => 'test bed' ) ) );
		// WordPress draws the password itself; tests want one that they know.
		$stored = WP_Application_Passwords::get_user_application_passwords( $id );
		$hash   = function_exists( 'wp_fast_hash' ) ? 'wp_fast_hash' : 'wp_hash_password';

		$stored[0]['password'] = $hash( $user['application_password'] );
		update_user_meta( $id, '_application_passwords', $stored );
	}
}

$wp_rewrite->set_permalink_structure( '/%postname%/' );
flush_rewrite_rules( true );
