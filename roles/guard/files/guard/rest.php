<?php
// Users in the REST API, wherever a response names or links them.

add_filter( 'rest_endpoints', __NAMESPACE__ . '\user_routes', PHP_INT_MAX );
add_action( 'rest_api_init', __NAMESPACE__ . '\watch_responses', PHP_INT_MAX );
add_filter( 'rest_comment_query', __NAMESPACE__ . '\mark_comment_search', PHP_INT_MAX );
add_filter( 'comments_clauses', __NAMESPACE__ . '\search_in_content', PHP_INT_MAX, 2 );
add_filter( 'oembed_response_data', __NAMESPACE__ . '\oembed_author', PHP_INT_MAX, 2 );

/**
 * Takes the users' routes away. Every way into the API ends at this table: any spelling of the path,
 * rest_route, _method, batch/v1 and the links that _embed follows. An error from
 * rest_pre_dispatch instead would end batch/v1 with a 500 (seen on 6.1).
 *
 * Somebody who is logged in keeps what the profile page needs: users/me, their own record and their
 * own application passwords.
 */
function user_routes( $endpoints ) {
	if ( ! is_array( $endpoints ) || ! closed( 'rest_users' ) ) {
		return $endpoints;
	}
	foreach ( array_keys( $endpoints ) as $route ) {
		if ( ! preg_match( '#^/wp/v2/users(?:/|$)#i', $route ) ) {
			continue;
		}
		if ( ! is_user_logged_in() ) {
			unset( $endpoints[ $route ] );
		} elseif ( '/wp/v2/users/(?P<id>[\d]+)' === $route ) {
			$endpoints[ $route ] = own_record_only( $endpoints[ $route ] );
		} elseif ( '/wp/v2/users/me' !== $route && false === strpos( $route, '/application-passwords' ) ) {
			unset( $endpoints[ $route ] );
		}
	}
	return $endpoints;
}

function own_record_only( $handlers ) {
	if ( isset( $handlers['callback'] ) ) {
		$handlers = array( $handlers );
	}
	foreach ( $handlers as $key => $handler ) {
		if ( is_array( $handler ) && isset( $handler['callback'] ) ) {
			$permission = isset( $handler['permission_callback'] ) ? $handler['permission_callback'] : '__return_true';

			$handlers[ $key ]['permission_callback'] = function ( $request ) use ( $permission ) {
				if ( is_oneself( $request['id'] ) ) {
					return call_user_func( $permission, $request );
				}
				// The words of WordPress for an id that does not exist.
				return new \WP_Error( 'rest_user_invalid_id', __( 'Invalid user ID.' ), array( 'status' => 404 ) );
			};
		}
	}
	return $handlers;
}

/** This late all post types are registered. */
function watch_responses() {
	foreach ( get_post_types( array( 'show_in_rest' => true ) ) as $type ) {
		add_filter( "rest_prepare_{$type}", __NAMESPACE__ . '\without_user_links', PHP_INT_MAX );
	}
	add_filter( 'rest_prepare_comment', __NAMESPACE__ . '\without_user_links', PHP_INT_MAX );
	add_filter( 'rest_prepare_comment', __NAMESPACE__ . '\comment_in_rest', PHP_INT_MAX, 2 );
}

/**
 * The numeric author field stays: clients sort by it, and nothing turns it into a name any more.
 */
function without_user_links( $response ) {
	if ( $response instanceof \WP_REST_Response && closed( 'rest_users' ) ) {
		foreach ( $response->get_links() as $relation => $links ) {
			foreach ( $links as $link ) {
				if ( isset( $link['href'] ) && false !== strpos( $link['href'], '/wp/v2/users/' ) ) {
					$response->remove_link( $relation, $link['href'] );
				}
			}
		}
	}
	return $response;
}

function comment_in_rest( $response, $comment ) {
	if ( $response instanceof \WP_REST_Response && closed( 'rest_users' ) ) {
		$data = $response->get_data();
		if ( is_array( $data ) && isset( $data['author_name'] ) ) {
			$data['author_name'] = spoken_commenter( $data['author_name'], $comment );
			$response->set_data( $data );
		}
	}
	return $response;
}

/**
 * A search for comments also looks at the e-mail addresses and the client addresses, which no answer
 * shows: whoever asks often enough reads them letter by letter, and an e-mail address is good for
 * logging in. Visitors search the text alone, in a cache of their own.
 */
function mark_comment_search( $args ) {
	if ( ! empty( $args['search'] ) && closed( 'rest_users' ) ) {
		$args['cache_domain'] = __NAMESPACE__;
	}
	return $args;
}

function search_in_content( $clauses, $query ) {
	if ( isset( $query->query_vars['cache_domain'] ) && __NAMESPACE__ === $query->query_vars['cache_domain'] ) {
		$clauses['where'] = preg_replace( '/\bcomment_author(?:_email|_IP|_url)? LIKE /', 'comment_content LIKE ', $clauses['where'] );
	}
	return $clauses;
}

function oembed_author( $data, $post ) {
	if ( is_array( $data ) && closed( 'rest_users' ) ) {
		if ( isset( $data['author_name'], $post->post_author ) ) {
			$data['author_name'] = spoken_name( $data['author_name'], get_userdata( $post->post_author ) );
		}
		if ( isset( $data['author_url'] ) ) {
			$data['author_url'] = home_url( '/' );
		}
	}
	return $data;
}
