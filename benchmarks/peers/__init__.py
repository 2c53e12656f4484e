"""The same work behind other servers, each as its documentation says it is fastest."""
