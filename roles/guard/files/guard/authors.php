<?php
// Author queries, author archives, the links to them, and the users sitemap.

// Last, so that what another plugin adds to the query is seen too.
add_filter( 'request', __NAMESPACE__ . '\refuse_query', PHP_INT_MAX );
// Before redirect_canonical(), which would answer with the author's address.
add_action( 'template_redirect', __NAMESPACE__ . '\refuse_archive', -PHP_INT_MAX );
add_filter( 'author_link', __NAMESPACE__ . '\author_link', PHP_INT_MAX, 2 );
add_filter( 'author_feed_link', __NAMESPACE__ . '\author_feed_link', PHP_INT_MAX );
add_filter( 'wp_sitemaps_add_provider', __NAMESPACE__ . '\sitemap_provider', PHP_INT_MAX, 2 );

/**
 * Answers with the site's own 404, the same for an author who exists and for one who does not.
 *
 * The query variables come from the path, the query string and the body alike, decoded as
 * WordPress decodes them, so no way of writing a request gets round this.
 */
function refuse_query( $query ) {
	// wp-admin filters its lists by author and asks for capabilities of its own; so does the REST
	// API, which WordPress enters exactly when this variable is not empty().
	if ( ! is_array( $query ) || is_admin() || ! empty( $query['rest_route'] ) ) {
		return $query;
	}
	if ( asks_for_author( $query ) && closed( 'author_by_id' ) ) {
		return array( 'error' => '404' );
	}
	// Without its provider WordPress answers a request for the users sitemap with the home page.
	if ( isset( $query['sitemap'] ) && 'users' === sanitize_text_field( query_text( $query['sitemap'] ) ) && closed( 'users_sitemap' ) ) {
		return array( 'error' => '404' );
	}
	return $query;
}

function asks_for_author( $query ) {
	// WordPress itself keeps only digits, commas and minus signs here. A form may well have a
	// field of that name with words in it.
	if ( isset( $query['author'] ) && preg_match( '/[1-9]/', query_text( $query['author'] ) ) ) {
		return true;
	}
	return isset( $query['author_name'] )
		&& '' !== trim( query_text( $query['author_name'] ) )
		&& ! is_post_under_author( $query );
}

function query_text( $value ) {
	return is_array( $value ) ? implode( ',', array_map( __FUNCTION__, $value ) ) : (string) $value;
}

/**
 * Whether the path is a post's own address on a site whose permalinks carry the author. Such a site
 * prints the names in every link; closing them here would close every post.
 */
function is_post_under_author( $query ) {
	global $wp;
	if ( false === strpos( (string) get_option( 'permalink_structure' ), '%author%' ) ) {
		return false;
	}
	wp_parse_str( (string) $wp->matched_query, $matched );
	return isset( $matched['author_name'] )
		&& $matched['author_name'] === $query['author_name']
		&& ( ! empty( $matched['name'] ) || ! empty( $matched['p'] ) || ! empty( $matched['attachment'] ) );
}

/** For archives that a plugin's own rewrite rules or queries lead to. */
function refuse_archive() {
	global $wp_query;
	if ( is_author() && closed( 'author_by_id' ) ) {
		$wp_query->set_404();
		$wp_query->is_feed = false;
		$wp_query->posts   = array();
		status_header( 404 );
		nocache_headers();
	}
}

/** The home page: themes wrap names in this link, and an empty or broken one would show. */
function author_link( $link, $user_id ) {
	return closed( 'author_by_id' ) && ! is_oneself( $user_id ) ? home_url( '/' ) : $link;
}

function author_feed_link( $link ) {
	return closed( 'author_by_id' ) ? get_feed_link() : $link;
}

function sitemap_provider( $provider, $name ) {
	return 'users' === $name && closed( 'users_sitemap' ) ? false : $provider;
}
