<?php
// Login names in pages and feeds: WordPress takes the login for the display name until somebody
// changes it, and writes it into class names. A display name of its own stays.

add_filter( 'the_author', __NAMESPACE__ . '\name_of_post_author', PHP_INT_MAX );
add_filter( 'the_modified_author', __NAMESPACE__ . '\name_of_last_editor', PHP_INT_MAX );
foreach ( array( 'display_name', 'nickname', 'first_name', 'last_name', 'user_login' ) as $field ) {
	add_filter( "get_the_author_{$field}", __NAMESPACE__ . '\name_of_author', PHP_INT_MAX, 2 );
}
add_filter( 'get_the_author_user_nicename', __NAMESPACE__ . '\slug_of_author', PHP_INT_MAX, 2 );
add_filter( 'get_comment_author', __NAMESPACE__ . '\name_of_comment_author', PHP_INT_MAX, 3 );
add_filter( 'comment_reply_link_args', __NAMESPACE__ . '\reply_link', PHP_INT_MAX, 2 );
add_filter( 'get_avatar_data', __NAMESPACE__ . '\avatar', PHP_INT_MAX, 2 );
add_filter( 'comment_class', __NAMESPACE__ . '\comment_classes', PHP_INT_MAX, 4 );
add_filter( 'post_class', __NAMESPACE__ . '\post_classes', PHP_INT_MAX, 3 );
add_filter( 'body_class', __NAMESPACE__ . '\body_classes', PHP_INT_MAX );

/** What to call a user whose only name is the login. */
function neutral_name() {
	$name = get_bloginfo( 'name', 'display' );
	return '' === $name ? __( 'Anonymous' ) : $name;
}

/** The name, or a neutral one where it is what the user logs in with. */
function spoken_name( $name, $user ) {
	if ( ! is_string( $name ) || ! is_object( $user ) || ! isset( $user->user_login ) || is_oneself( $user->ID ) ) {
		return $name;
	}
	foreach ( array( $user->user_login, $user->user_nicename, $user->user_email ) as $login ) {
		if ( 0 === strcasecmp( trim( $name ), trim( (string) $login ) ) ) {
			return neutral_name();
		}
	}
	return $name;
}

function name_of_post_author( $name ) {
	global $authordata;
	return closed( 'author_by_id' ) ? spoken_name( $name, $authordata ) : $name;
}

function name_of_last_editor( $name ) {
	if ( ! closed( 'author_by_id' ) ) {
		return $name;
	}
	$post = get_post();
	return spoken_name( $name, $post ? get_userdata( get_post_meta( $post->ID, '_edit_last', true ) ) : false );
}

function name_of_author( $name, $user_id ) {
	return closed( 'author_by_id' ) ? spoken_name( $name, get_userdata( $user_id ) ) : $name;
}

/** Themes build class names and addresses from it, so it stays one plain word. */
function slug_of_author( $slug, $user_id ) {
	return closed( 'author_by_id' ) && ! is_oneself( $user_id ) ? 'author' : $slug;
}

function name_of_comment_author( $name, $comment_id, $comment = null ) {
	return closed( 'author_by_id' ) ? spoken_commenter( $name, $comment ) : $name;
}

/** A visitor may sign with any name; only a comment of a user's own account can tell a login. */
function spoken_commenter( $name, $comment ) {
	return isset( $comment->user_id ) ? spoken_name( $name, get_userdata( $comment->user_id ) ) : $name;
}

/** Before 6.0 the label of the reply link takes the comment's raw name. */
function reply_link( $args, $comment ) {
	if ( is_array( $args ) && isset( $args['reply_to_text'], $comment->comment_author ) && closed( 'author_by_id' ) ) {
		$name = spoken_commenter( $comment->comment_author, $comment );
		if ( $name !== $comment->comment_author ) {
			$args['reply_to_text'] = str_replace( '%s', str_replace( '%', '%%', $name ), $args['reply_to_text'] );
		}
	}
	return $args;
}

/** The avatar block describes the picture with the comment's raw name. */
function avatar( $args, $shown ) {
	if ( $shown instanceof \WP_Comment && isset( $args['alt'] ) && '' !== $shown->comment_author && closed( 'author_by_id' ) ) {
		$args['alt'] = str_replace( $shown->comment_author, spoken_commenter( $shown->comment_author, $shown ), $args['alt'] );
	}
	return $args;
}

function comment_classes( $classes, $css_class, $comment_id, $comment = null ) {
	return without_name_of( isset( $comment->user_id ) ? $comment->user_id : 0, $classes );
}

function post_classes( $classes, $css_class, $post_id ) {
	$post = get_post( $post_id );
	return without_name_of( $post ? $post->post_author : 0, $classes );
}

function body_classes( $classes ) {
	$shown = get_queried_object();
	if ( $shown instanceof \WP_Post ) {
		return without_name_of( $shown->post_author, $classes );
	}
	return $shown instanceof \WP_User ? without_name_of( $shown->ID, $classes ) : $classes;
}

function without_name_of( $user_id, $classes ) {
	$user = $user_id ? get_userdata( $user_id ) : false;
	if ( ! $user || is_oneself( $user_id ) || ! is_array( $classes ) || ! closed( 'author_by_id' ) ) {
		return $classes;
	}
	$name = sanitize_html_class( $user->user_nicename, $user->ID );
	return array_values( array_diff( $classes, array( "author-{$name}", "comment-author-{$name}" ) ) );
}
